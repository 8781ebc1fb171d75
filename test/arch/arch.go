// Package arch holds what may import what in the whole workspace.
package arch
