package main

import (
	"net"
	"net/netip"
	"strings"
)

// checkAddress returns a usageError if what a flag says is no address: host:port, or
// the path of a Unix socket, which holds a slash.
func checkAddress(flag, addr string) error {
	if strings.Contains(addr, "://") {
		return usageErrorf("%s %q: must be host:port, and not a URL", flag, addr)
	}
	if networkOf(addr) == "unix" {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return usageErrorf("%s %q: must be host:port, or the path of a Unix socket with a slash", flag, addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return usageErrorf("%s %q: port %s: must be 0 to 65535, or the name of a service", flag, addr, port)
	}
	return nil
}

// checkDialled is checkAddress for an address that is dialled, to which port 0 leads
// nobody.
func checkDialled(flag, addr string) error {
	if err := checkAddress(flag, addr); err != nil {
		return err
	}
	if portOf(addr) == "0" {
		return usageErrorf("%s %q: port 0 is none that anybody listens on", flag, addr)
	}
	return nil
}

// checkAddresses is checkDialled for several, separated by commas, of which there
// must be one.
func checkAddresses(flag, addrs string) error {
	found := false
	for addr := range strings.SplitSeq(addrs, ",") {
		if addr = strings.TrimSpace(addr); addr == "" {
			continue
		}
		if err := checkDialled(flag, addr); err != nil {
			return err
		}
		found = true
	}
	if !found {
		return usageErrorf("%s %q: names no address", flag, addrs)
	}
	return nil
}

// isEverywhere tells whether an address means every address of a host: nobody
// else can dial it.
func isEverywhere(addr string) bool {
	if networkOf(addr) == "unix" {
		return false
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || (err == nil && ip.Unmap().IsUnspecified())
}

// portOf returns the port of an address, empty if it has none.
func portOf(addr string) string {
	if networkOf(addr) == "unix" {
		return ""
	}
	_, port, _ := net.SplitHostPort(addr)
	return port
}
