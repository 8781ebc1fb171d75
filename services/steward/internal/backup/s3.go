package backup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Bucket configures an S3.
type Bucket struct {
	URL      string // s3://bucket/prefix
	Endpoint string // such as https://s3.eu-central-1.amazonaws.com
	Region   string // "" asks the server
	// PathStyle puts the bucket in the path, for servers without a host name per bucket.
	PathStyle bool
	// Access, Secret and Session are the keys. Without Access, the keys of the pod's cloud role are used.
	Access, Secret, Session string
	CAFile                  string
}

// S3 is a Storage in a bucket of any server that speaks S3.
type S3 struct {
	client         *minio.Client
	bucket, prefix string
	endpoint       string
}

// OpenS3 returns the S3 of a bucket. It does not connect yet.
func OpenS3(b Bucket) (*S3, error) {
	place, err := url.Parse(b.URL)
	if err != nil || place.Scheme != "s3" || place.Host == "" {
		return nil, fmt.Errorf("%q is not of the form s3://bucket/prefix", b.URL)
	}
	endpoint, err := url.Parse(b.Endpoint)
	if err != nil || endpoint.Scheme != "https" && endpoint.Scheme != "http" || endpoint.Host == "" || strings.Trim(endpoint.Path, "/") != "" {
		return nil, fmt.Errorf("the endpoint %q is not of the form https://host", b.Endpoint)
	}
	if (b.Access == "") != (b.Secret == "") {
		return nil, errors.New("PARLEY_S3_ACCESS_KEY and PARLEY_S3_SECRET_KEY must be set together")
	}
	options := &minio.Options{Creds: credentials.NewIAM(""), Secure: endpoint.Scheme == "https", Region: b.Region}
	if b.Access != "" {
		options.Creds = credentials.NewStaticV4(b.Access, b.Secret, b.Session)
	}
	if b.PathStyle {
		options.BucketLookup = minio.BucketLookupPath
	}
	if b.CAFile != "" {
		if options.Transport, err = transportWithCA(b.CAFile); err != nil {
			return nil, err
		}
	}
	client, err := minio.New(endpoint.Host, options)
	if err != nil {
		return nil, fmt.Errorf("S3: %w", err)
	}
	s := &S3{client: client, bucket: place.Host, prefix: strings.Trim(place.Path, "/"), endpoint: b.Endpoint}
	if s.prefix != "" {
		s.prefix += "/"
	}
	return s, nil
}

// transportWithCA returns a transport that trusts the CA certificates in file.
func transportWithCA(file string) (http.RoundTripper, error) {
	content, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("PARLEY_S3_CA_FILE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("PARLEY_S3_CA_FILE: %s holds no certificate", file)
	}
	transport, err := minio.DefaultTransport(true)
	if err != nil {
		return nil, fmt.Errorf("S3: %w", err)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return transport, nil
}

// Put implements Storage. The server checks the MD5 of each part, and Put then reads back the object's size and ETag.
func (s *S3) Put(ctx context.Context, name string, content io.ReadSeeker, size int64) error {
	key := s.prefix + name
	put, err := s.client.PutObject(ctx, s.bucket, key, content, size, minio.PutObjectOptions{
		ContentType: "application/octet-stream", SendContentMd5: true,
	})
	if err != nil {
		return s.failed("store", key, err)
	}
	stored, err := s.client.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return s.failed("verify", key, err)
	}
	if stored.Size != size || stored.ETag != put.ETag {
		return fmt.Errorf("%s: %s has %d bytes (ETag %s), but %d bytes were uploaded (ETag %s): another process writes to this prefix", s.endpoint, key, stored.Size, stored.ETag, size, put.ETag)
	}
	return nil
}

// Open implements Storage.
func (s *S3) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	object, err := s.client.GetObject(ctx, s.bucket, s.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, s.failed("fetch", s.prefix+name, err)
	}
	return object, nil
}

// Files implements Storage.
func (s *S3) Files(ctx context.Context) ([]File, error) {
	ctx, cancel := context.WithCancel(ctx) // ends the listing if we return early
	defer cancel()
	var files []File
	for object := range s.client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true}) {
		if object.Err != nil {
			return nil, s.failed("list", s.prefix, object.Err)
		}
		files = append(files, File{Name: strings.TrimPrefix(object.Key, s.prefix), Size: object.Size})
	}
	return files, nil
}

// Remove implements Storage.
func (s *S3) Remove(ctx context.Context, name string) error {
	if err := s.client.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}); err != nil {
		return s.failed("remove", s.prefix+name, err)
	}
	return nil
}

// failed wraps an error with what was attempted, and with a hint at the cause.
func (s *S3) failed(what, key string, err error) error {
	hint := ""
	switch minio.ToErrorResponse(err).Code {
	case minio.AccessDenied:
		hint = " (the keys need s3:PutObject, s3:GetObject and s3:DeleteObject on the prefix, and s3:ListBucket on the bucket)"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch":
		hint = " (are PARLEY_S3_ACCESS_KEY and PARLEY_S3_SECRET_KEY the right ones?)"
	case minio.NoSuchBucket:
		hint = " (create the bucket first)"
	}
	return fmt.Errorf("S3 at %s: %s %s/%s: %w%s", s.endpoint, what, s.bucket, key, err, hint)
}
