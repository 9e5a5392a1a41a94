package kvservice_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// The lab's surface: no errors, and everything is tried until it is done.
func ExampleMakeKVClient() {
	dir, _ := os.MkdirTemp("", "kv")
	defer os.RemoveAll(dir)
	monitor := sysmonitor.StartServer(filepath.Join(dir, "monitor"))
	defer monitor.Kill()
	server := kvservice.StartKVServer(monitor.Addr(), filepath.Join(dir, "server"))
	defer server.Kill()

	client := kvservice.MakeKVClient(monitor.Addr())
	defer client.Close()
	client.Put("a", "aa")
	fmt.Println(client.Get("a"))
	fmt.Println(client.PutHash("a", "bb"))
	fmt.Println(client.Get("a") == fmt.Sprint(tandem.Hash("aa"+"bb")))
	// Output:
	// aa
	// aa
	// true
}

// The Go surface: contexts, and errors that say what is known.
func ExampleKVClient() {
	monitor, err := sysmonitor.Start("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer monitor.Close()
	server, err := kvservice.Start(monitor.Addr(), "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Kill()

	client := kvservice.MakeKVClient(monitor.Addr())
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	_, err = client.GetContext(ctx, "lock")
	fmt.Println(errors.Is(err, tandem.ErrNoKey))
	swapped, _ := client.CompareAndSwapContext(ctx, "lock", "", "mine")
	fmt.Println(swapped)
	swapped, _ = client.CompareAndSwapContext(ctx, "lock", "", "yours")
	fmt.Println(swapped)
	_ = client.ScanContext(ctx, "lo", func(key, value string) bool {
		fmt.Println(key, value)
		return true
	})
	// Output:
	// true
	// true
	// false
	// lock mine
}
