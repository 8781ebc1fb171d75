module github.com/parley-chat/parley/services/rooms

go 1.26.0

require github.com/parley-chat/parley/pkg v0.0.0

replace github.com/parley-chat/parley/pkg => ../../pkg
