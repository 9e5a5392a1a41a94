package cluster

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhereAHostIs(t *testing.T) {
	defer func(real func(context.Context, string, string) ([]netip.Addr, error)) { lookup = real }(lookup)
	lookup = func(_ context.Context, _, host string) ([]netip.Addr, error) {
		switch host {
		case "here":
			return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("192.0.2.7")}, nil
		case "there":
			return []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("127.0.0.1")}, nil
		}
		return nil, errors.New("no such host")
	}
	for host, want := range map[string]struct {
		ip    string
		local bool
	}{
		"127.0.0.1":  {"127.0.0.1", true},
		"127.3.2.1":  {"127.3.2.1", true},
		"::1":        {"::1", true},
		"192.0.2.99": {"192.0.2.99", false}, // of no host: for documentation
		"here":       {"127.0.0.1", true},
		"there":      {"192.0.2.7", false},
	} {
		ip, local, err := resolveHost(t.Context(), host)
		require.NoError(t, err)
		require.Equal(t, want.ip, ip, host)
		require.Equal(t, want.local, local, host)
	}
	_, _, err := resolveHost(t.Context(), "nowhere")
	require.EqualError(t, err, `look up the host "nowhere": no such host`)
	for _, host := range []string{"0.0.0.0", "::"} {
		_, _, err = resolveHost(t.Context(), host)
		require.ErrorContains(t, err, host)
	}
}
