// Package api tests the public API of a whole server, against its documents.
package api
