//go:build unix

package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

// playTandem is what the copies do that stand for the binary: real services,
// under as much of its command line as the supervisor uses. The result is the
// exit status.
func playTandem(args []string) int {
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	flags.Bool("json", false, "")
	flags.Bool("until-eof", false, "")
	flags.String("data", "", "")
	flags.String("log-level", "", "")
	listen := flags.String("listen", "", "")
	advertise := flags.String("advertise", "", "")
	monitor := flags.String("monitor", "", "")
	interval := flags.Duration("ping-interval", sysmonitor.PingInterval, "")
	dead := flags.Int("dead-pings", sysmonitor.DeadPings, "")
	flags.Parse(args[1:])
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ready := Ready{Role: args[0], Advertise: *advertise, PID: os.Getpid()}
	var leave func() error
	switch args[0] {
	case "monitor":
		m, err := sysmonitor.Start(*listen, sysmonitor.WithLogger(log), sysmonitor.WithPingInterval(*interval), sysmonitor.WithDeadPings(*dead))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		ready.Addr, leave = m.Addr(), m.Close
	case "server":
		l, err := net.Listen("tcp", *listen)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		// As the binary does: with port 0 it is known by the port that it got.
		if host, port, _ := net.SplitHostPort(*advertise); port == "0" {
			_, port, _ = net.SplitHostPort(l.Addr().String())
			*advertise = net.JoinHostPort(host, port)
			ready.Advertise = *advertise
		}
		s, err := kvservice.Start(*monitor, *listen, kvservice.WithLogger(log), kvservice.WithListener(l), kvservice.WithAdvertise(*advertise))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		ready.Addr, ready.Incarnation = l.Addr().String(), fmt.Sprintf("%x", s.Status().Server.Incarnation)
		leave = func() error { return s.Shutdown(context.Background()) }
	}
	json.NewEncoder(os.Stdout).Encode(ready)
	return obey(leave)
}

// obey takes orders from standard input.
func obey(leave func() error) int {
	left := make(chan int, 1)
	go func() {
		orders := bufio.NewScanner(os.Stdin)
		for orders.Scan() && orders.Text() == "leave" {
			go func() {
				if err := leave(); err != nil {
					fmt.Fprintln(os.Stderr, "leaving:", err)
					left <- 1
				}
				left <- 0
			}()
		}
		left <- 3
	}()
	return <-left
}
