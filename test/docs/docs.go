// Package docs tests the documentation, against the code.
package docs
