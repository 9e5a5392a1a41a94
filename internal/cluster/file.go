package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Config is a cluster: what its processes are, and where they run. As a TOML
// file, with all there is to say:
//
//	[monitor]
//	host = "10.0.0.1"          # default 127.0.0.1; where it runs, and how others reach it
//	port = 7000                # 0, the default: a free one
//	data = "/var/lib/tandem"   # default: in the run folder, if it runs on this host
//
//	[[server]]                 # one such table for each server
//	host = "10.0.0.2"          # default 127.0.0.1
//	port = 7001                # 0, the default: a free one
//
//	[remote]                         # for hosts that are not this one
//	command = "ssh {host} {command}" # the default: how a command is run there
//	binary  = "tandem"               # the default: what the binary is called there
type Config struct {
	Monitor Place
	Data    string // of the monitor, a directory where it runs; empty: see above
	Servers []Place
	Remote  Remote
}

// Place is where a process runs and is reached.
type Place struct {
	Host string // an address or a name
	Port int    // 0: a free one is chosen at the first start, and kept
}

// Remote says how to start processes on hosts that are not this one.
type Remote struct {
	// Command is a template, split into words as a shell would; see Template.
	Command string
	// Binary is how the shell of the host finds the tandem binary.
	Binary string
}

const (
	loopback      = "127.0.0.1"
	remoteCommand = "ssh {host} {command}"
	remoteBinary  = "tandem"
)

// Loopback returns a cluster on this host: a monitor on a port (0: a free one)
// and as many servers, on free ports.
func Loopback(port, servers int) *Config {
	c := &Config{Monitor: Place{Host: loopback, Port: port}, Remote: Remote{Command: remoteCommand, Binary: remoteBinary}}
	for range servers {
		c.Servers = append(c.Servers, Place{Host: loopback})
	}
	return c
}

// document is the file as it is written: a pointer is nil where nothing is said.
type document struct {
	Monitor struct {
		place
		Data *string `toml:"data"`
	} `toml:"monitor"`
	Servers []place `toml:"server"`
	Remote  struct {
		Command *string `toml:"command"`
		Binary  *string `toml:"binary"`
	} `toml:"remote"`
}

type place struct {
	Host *string `toml:"host"`
	Port int     `toml:"port"`
}

// ReadFile reads a cluster file. Errors name the file, and the line or the field
// with the value that is wrong; no host name is looked up yet.
func ReadFile(path string) (*Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the cluster file: %w", err)
	}
	c, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("cluster file %s: %w", path, err)
	}
	return c, nil
}

// parse reads a cluster file's text.
func parse(text []byte) (*Config, error) {
	var d document
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&d); err != nil {
		return nil, located(err)
	}
	c := &Config{
		Monitor: d.Monitor.filled(),
		Data:    or(d.Monitor.Data, ""),
		Remote:  Remote{Command: or(d.Remote.Command, remoteCommand), Binary: or(d.Remote.Binary, remoteBinary)},
	}
	for _, s := range d.Servers {
		c.Servers = append(c.Servers, s.filled())
	}
	if d.Monitor.Data != nil && c.Data == "" {
		return nil, errors.New(`[monitor]: data = "": must not be empty; leave it out for the run folder`)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// or returns what is said, or the default.
func or(said *string, def string) string {
	if said == nil {
		return def
	}
	return *said
}

func (p place) filled() Place { return Place{Host: or(p.Host, loopback), Port: p.Port} }

// located returns an error of the TOML decoder in one line, with where it is.
func located(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, _ := first.Position()
		return fmt.Errorf("line %d: %s: there is no such field", line, strings.Join(first.Key(), "."))
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		line, column := wrong.Position()
		return fmt.Errorf("line %d, column %d: %w", line, column, err)
	}
	return err
}

// hosts are the names and addresses that can be told to any program: none that
// would be taken for a flag, or for several words.
var hosts = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:%-]*$|^::[A-Fa-f0-9:.]*$`)

// check returns an error that names the field and the value that is wrong.
func (c *Config) check() error {
	if len(c.Servers) == 0 {
		return errors.New("there is no server: each has a table [[server]]")
	}
	taken := make(map[Place]string)
	for i, p := range append([]Place{c.Monitor}, c.Servers...) {
		where := "[monitor]"
		if i > 0 {
			where = fmt.Sprintf("[[server]] %d", i)
		}
		if err := p.check(); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if by, twice := taken[p]; twice && p.Port != 0 {
			return fmt.Errorf("%s: host = %q with port = %d: that is where %s is", where, p.Host, p.Port, by)
		}
		taken[p] = where
	}
	if c.Remote.Binary == "" {
		return errors.New(`[remote]: binary = "": must not be empty`)
	}
	if _, err := ParseTemplate(c.Remote.Command); err != nil {
		return fmt.Errorf("[remote]: command = %q: %w", c.Remote.Command, err)
	}
	return nil
}

func (p Place) check() error {
	switch {
	case p.Host == "":
		return errors.New(`host = "": must not be empty`)
	case !hosts.MatchString(p.Host):
		return fmt.Errorf("host = %q: must be the name or the address of a host, without a port", p.Host)
	case p.Port < 0 || p.Port > 65535:
		return fmt.Errorf("port = %d: must be 1 to 65535, or 0 for a free one", p.Port)
	}
	return nil
}
