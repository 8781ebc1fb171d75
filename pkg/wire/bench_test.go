package wire

import (
	"strings"
	"testing"
)

func BenchmarkDecodeCommand(b *testing.B) {
	frame := []byte(`{"type":"send","id":17,"room":"general","nonce":"abcdefghij-17","body":"` + strings.Repeat("hello world ", 10) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeCommand(frame); err != nil {
			b.Fatal(err)
		}
	}
}
