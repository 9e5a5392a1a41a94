package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Variables only for the tests.
var (
	lookup  = net.DefaultResolver.LookupNetIP // resolves a host name
	resolve = resolveHost
)

// resolveHost returns the address that a host stands for, and whether it is one of
// this host. A name that stands for several is taken by the first: a process
// listens on one, and all must reach it by that same one.
func resolveHost(ctx context.Context, host string) (ip string, local bool, err error) {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		found, err := lookup(ctx, "ip", host)
		if err != nil {
			return "", false, fmt.Errorf("look up the host %q: %w", host, err)
		}
		addr = found[0]
	}
	addr = addr.Unmap()
	if addr.IsUnspecified() {
		return "", false, fmt.Errorf("host %q: others cannot reach it by that; give an address of its own", host)
	}
	local, err = isLocal(addr)
	return addr.String(), local, err
}

// isLocal reports whether an address is one of this host.
func isLocal(addr netip.Addr) (bool, error) {
	if addr.IsLoopback() {
		return true, nil
	}
	have, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("look up the addresses of this host: %w", err)
	}
	for _, a := range have {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == addr.WithZone("") {
				return true, nil
			}
		}
	}
	return false, nil
}
