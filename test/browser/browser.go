// Package browser tests the page, in browsers.
package browser
