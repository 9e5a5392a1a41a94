package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClusterFile(t *testing.T) {
	c, err := parse([]byte(`
[monitor]
host = "10.0.0.1"
port = 7000
data = "/var/lib/tandem"

[[server]]
host = "10.0.0.2"
port = 7001
[[server]]
host = "b.example"
[[server]]

[remote]
command = "ssh -p 22 {host} {command}"
binary = "/opt/tandem"
`))
	require.NoError(t, err)
	require.Equal(t, &Config{
		Monitor: Place{"10.0.0.1", 7000}, Data: "/var/lib/tandem",
		Servers: []Place{{"10.0.0.2", 7001}, {"b.example", 0}, {"127.0.0.1", 0}},
		Remote:  Remote{"ssh -p 22 {host} {command}", "/opt/tandem"},
	}, c)

	c, err = parse([]byte("[[server]]\n[[server]]\n"))
	require.NoError(t, err)
	require.Equal(t, Loopback(0, 2), c)
}

func TestClusterFileErrors(t *testing.T) {
	const server = "[[server]]\n"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", "there is no server"},
		"no server":           {"[monitor]\nport = 1", "there is no server"},
		"syntax":              {server + "port = = 1", "line 2, column 8: "},
		"type":                {server + `port = "http"`, "line 2, column 8: "},
		"field":               {server + "prot = 7001", "line 2: server.prot: there is no such field"},
		"table":               {server + "[servers]\nport = 1", "line 2: servers: there is no such field"},
		"no tables":           {"server = 3", "line 1, column 10: "},
		"port too high":       {server + server + "port = 65536", "[[server]] 2: port = 65536: must be 1 to 65535"},
		"port below zero":     {"[monitor]\nport = -1\n" + server, "[monitor]: port = -1: must be 1 to 65535"},
		"empty host":          {server + `host = ""`, `[[server]] 1: host = "": must not be empty`},
		"host and port":       {server + `host = "a b"`, `[[server]] 1: host = "a b": must be the name`},
		"a flag for a host":   {server + `host = "-oProxyCommand=rm"`, "must be the name"},
		"the same place":      {server + "port = 1\n" + server + "port = 2\n" + server + "port = 1", `[[server]] 3: host = "127.0.0.1" with port = 1: that is where [[server]] 1 is`},
		"the monitor's place": {"[monitor]\nport = 1\n" + server + "port = 1", "that is where [monitor] is"},
		"empty data":          {server + "[monitor]\ndata = \"\"", `[monitor]: data = ""`},
		"empty binary":        {server + "[remote]\nbinary = \"\"", `[remote]: binary = ""`},
		"empty command":       {server + "[remote]\ncommand = \"\"", `[remote]: command = "": must not be empty`},
		"no {command}":        {server + "[remote]\ncommand = \"ssh {host}\"", `must have {command} once`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]byte(c.text))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}

	path := filepath.Join(t.TempDir(), "cluster.toml")
	_, err := ReadFile(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("x = 1\n"), 0o600))
	_, err = ReadFile(path)
	require.EqualError(t, err, "cluster file "+path+": line 1: x: there is no such field")
}
