module github.com/tandemkv/tandem

go 1.26
