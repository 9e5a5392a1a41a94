package rpcnet

import (
	"encoding/gob"
	"fmt"
	"io"
	"net/rpc"
)

// Describe makes gob know the types of these values, and with the first call
// those of net/rpc's own messages. It panics if one cannot be encoded.
//
// gob keeps the types of a process in one table. When a decoder has been sent
// nonsense and words its error, it reads that table without gob's lock (Go 1.26,
// typeId.string), so a type that somebody encodes for the first time at that
// moment is a data race. Services describe what they send before they accept a
// connection, after which nobody writes to the table any more.
func Describe(values ...any) {
	for _, v := range append([]any{&rpc.Request{}, &rpc.Response{}, struct{}{}}, values...) {
		if err := gob.NewEncoder(io.Discard).Encode(v); err != nil {
			panic(fmt.Sprintf("rpcnet: describing %T: %v", v, err))
		}
	}
}
