package observe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector sends spans by OTLP over HTTP. OpenTelemetry's own client depends on gRPC and its gateway, which
// would double the size of each service.
type collector struct {
	url  string
	http http.Client
}

// Start implements otlptrace.Client. It does nothing: the first upload connects.
func (c *collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *collector) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. It tries once: spans are lost while the collector is unreachable.
func (c *collector) UploadTraces(ctx context.Context, spans []*traces.ResourceSpans) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	// TracesData has the same encoding as ExportTraceServiceRequest, whose package would import gRPC.
	body, err := proto.Marshal(&traces.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // so that the connection can be reused
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("send spans: the collector answered %s", response.Status) //nolint:err113 // only ever logged
	}
	return nil
}
