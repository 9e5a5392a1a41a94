package cluster

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTemplate(t *testing.T) {
	for text, want := range map[string][]string{
		"ssh {host} {command}":                            {"ssh", "b", "exec tandem server 'a b'"},
		"  ssh\t-p 22  me@{host}  {command} ":             {"ssh", "-p", "22", "me@b", "exec tandem server 'a b'"},
		`docker exec -i "{host}" sh -c 'cd /; {command}'`: {"docker", "exec", "-i", "b", "sh", "-c", "cd /; exec tandem server 'a b'"},
		`x '' "" a\ b "\"\\\n" '\' \{ {name} {command}`:   {"x", "", "", "a b", `"\\n`, `\`, "{", "server-1", "exec tandem server 'a b'"},
		`s'$H'"$H"h {command}`:                            {"s$H$Hh", "exec tandem server 'a b'"},
	} {
		tmpl, err := ParseTemplate(text)
		require.NoError(t, err, text)
		require.Equal(t, want, tmpl.Expand("b", "server-1", []string{"tandem", "server", "a b"}), text)
	}
	for text, want := range map[string]string{
		"":                            "must not be empty",
		" \t":                         "must not be empty",
		"ssh {host}":                  "once, for what is to be run, and has it 0 times",
		"ssh {command} {command}":     "and has it 2 times",
		"ssh {hots} {command}":        "{hots}: must be {host}, {name} or {command}",
		`ssh "{host} {command}`:       `a quote " is not closed`,
		`ssh 'it''s {host} {command}`: `a quote ' is not closed`,
		`ssh {host} {command} \`:      `a \ stands at the end`,
	} {
		_, err := ParseTemplate(text)
		require.ErrorContains(t, err, want, text)
	}
}

// What is quoted is what a shell makes of it, whatever it is.
func TestQuote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// An argument of a process has no NUL.
		words := rapid.SliceOfN(rapid.StringMatching(`[^\x00]{0,6}`), 1, 5).Draw(t, "words")
		words = append(words, `it's "$HOME" \ *;&|`+"\n", "", "-n", "a=b", "~")
		out, err := exec.Command("/bin/sh", "-c", `printf '%s\000' `+quoteAll(words)).Output()
		require.NoError(t, err)
		var want string
		for _, w := range words {
			want += w + "\x00"
		}
		require.Equal(t, want, string(out))
	})
}
