package sysmonitor

import (
	"sync"

	"github.com/tandemkv/tandem/internal/rpcnet"
)

// describe makes gob know what the view service and its clients send, before
// they do.
var describe = sync.OnceFunc(func() {
	rpcnet.Describe(&PingArgs{}, &PingReply{}, &GetArgs{}, &GetReply{}, &StatusArgs{}, &Status{})
})
