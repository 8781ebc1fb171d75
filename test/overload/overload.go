// Package overload tests what one client, or many, may take from all others.
package overload
