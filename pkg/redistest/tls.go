package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TLS is a Redis that only speaks TLS and requires client certificates. Its own certificate is for ServerName,
// and not for its address.
type TLS struct {
	Address, Password, ServerName string
	CA, Cert, Key                 string // files
	Stranger, StrangerKey         string // files of a certificate from another CA
}

// StartTLS starts a TLS that ends with the test.
func StartTLS(t *testing.T) *TLS {
	t.Helper()
	folder := t.TempDir()
	ours, theirs := newAuthority(t), newAuthority(t)
	s := &TLS{Password: password, ServerName: "redis.test", CA: filepath.Join(folder, "ca.crt")}
	write(t, s.CA, "CERTIFICATE", ours.certificate.Raw)
	s.Cert, s.Key = ours.sign(t, folder, "edge")
	s.Stranger, s.StrangerKey = theirs.sign(t, folder, "stranger")
	cert, key := ours.sign(t, folder, s.ServerName)
	port := freePort(t)
	start(t, "tls-port "+port, "tls-cert-file "+cert, "tls-key-file "+key, "tls-ca-cert-file "+s.CA, "tls-auth-clients yes")
	s.Address = "127.0.0.1:" + port
	return s
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	raw, err := x509.CreateCertificate(rand.Reader, a.certificate, a.certificate, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	return a
}

// sign creates a certificate for name, and returns the files of the certificate and of its key.
func (a *authority) sign(t *testing.T, folder, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
	}, a.certificate, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(folder, name+".crt"), filepath.Join(folder, name+".key")
	write(t, cert, "CERTIFICATE", raw)
	write(t, key, "PRIVATE KEY", encoded)
	return cert, key
}

func write(t *testing.T, file, kind string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		t.Fatal(err)
	}
}
