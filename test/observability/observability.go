// Package observability tests what a whole server logs and traces.
package observability
