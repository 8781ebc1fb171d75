// Package programs tests the built programs.
package programs
