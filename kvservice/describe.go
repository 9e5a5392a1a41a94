package kvservice

import (
	"sync"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/internal/rpcnet"
)

// describe makes gob know what servers and clients send, before they do.
var describe = sync.OnceFunc(func() {
	rpcnet.Describe(
		&tandem.PutArgs{}, &tandem.PutReply{},
		&tandem.GetArgs{}, &tandem.GetReply{},
		&tandem.ScanArgs{}, &tandem.ScanReply{},
		&TableArgs{},
		&Batch{}, &StatusArgs{}, &Status{},
	)
})
