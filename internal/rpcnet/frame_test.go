package rpcnet

import (
	"bytes"
	"encoding/gob"
	"io"
	"math/rand/v2"
	"net"
	"net/rpc"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFrameReaderPassesGobOnUnchanged(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 1))
	var all []any
	for range 200 {
		all = append(all, Msg{N: chance.IntN(1 << 30), Text: strings.Repeat("x", chance.IntN(3*largeFrame))})
	}
	stream := gobOf(t, all...)
	waited, returned := 0, 0
	r := newFrameReader(iotest.HalfReader(bytes.NewReader(stream)), 1<<20)
	r.wait = func(n int) error { waited += n; return nil }
	r.done = func() { returned++; require.Positive(t, waited) }
	dec := gob.NewDecoder(r)
	for _, want := range all {
		var got Msg
		r.begun = false
		require.NoError(t, dec.Decode(&got))
		require.Equal(t, want, got)
		r.relieve(dec)
	}
	r.begun = false
	require.Equal(t, io.EOF, dec.Decode(&Msg{}))
	require.Equal(t, io.EOF, dec.Decode(&Msg{}), "errors stay")
	require.Positive(t, returned)
}

func TestFrameReaderSaysWhatIsWrong(t *testing.T) {
	whole := gobOf(t, &Msg{Text: "some text"})
	definition := append([]byte{0xfe, 0x7f, 0xff, 0x01}, make([]byte, 0x7ffe)...)
	for name, c := range map[string]struct {
		in []byte
		is error
	}{
		"nothing":              {nil, io.EOF},
		"cut in the length":    {[]byte{0xfe, 1}, io.ErrUnexpectedEOF},
		"cut in the payload":   {whole[:5], io.ErrUnexpectedEOF},
		"cut between messages": {gobOf(t, &Msg{N: 1})[:0x1f+1], io.ErrUnexpectedEOF},
		"beyond the limit":     {[]byte{0xfd, 0x10, 0, 1, 0x04}, ErrFrameTooLarge},
		"absurd":               {[]byte{0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, ErrFrameTooLarge},
		"length too long":      {[]byte{0xf7, 1, 1, 1, 1, 1, 1, 1, 1, 1}, errMalformed},
		"empty":                {[]byte{0}, errMalformed},
		"no type id":           {[]byte{1, 0xff, 0x01}, errMalformed},
		"endless definitions":  {bytes.Repeat(definition, 40), ErrFrameTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := newFrameReader(bytes.NewReader(c.in), 1<<20)
			_, err := io.Copy(io.Discard, onlyReader{r})
			if c.is == io.EOF {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, c.is)
		})
	}
}

type onlyReader struct{ io.Reader }

func FuzzFrameReader(f *testing.F) {
	f.Add([]byte{}, 1)
	f.Add([]byte{0xfc, 0x7f, 0xff, 0xff, 0xff, 0x01}, 3)
	f.Add(gobOf(f, &Msg{N: 1, Text: "x"}, &Msg{}), 7)
	f.Add(bytes.Repeat([]byte{3, 4, 0, 0}, 10), 2)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		const limit = 1 << 12
		r := newFrameReader(bytes.NewReader(in), limit)
		var out []byte
		buf := make([]byte, max(1, step&0xff))
		var err error
		for err == nil {
			var n int
			n, err = r.Read(buf)
			out = append(out, buf[:n]...)
			if r.left > limit {
				t.Fatalf("a frame of %d bytes was let through", r.left)
			}
			if n == 0 && err == nil {
				t.Fatal("no progress")
			}
		}
		if !bytes.HasPrefix(in, out) {
			t.Fatal("the bytes were changed")
		}
		if err == io.EOF && len(out) != len(in) {
			t.Fatal("bytes were lost")
		}
		if _, again := r.Read(buf); again != err {
			t.Fatalf("%v became %v", err, again)
		}
	})
}

func FuzzServerConnection(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(gobOf(f, &rpc.Request{ServiceMethod: "Probe.Same", Seq: 1}, &Msg{N: 1}))
	f.Add(gobOf(f, &rpc.Request{ServiceMethod: "Conn.Echo", Seq: 1}, struct{}{}, &rpc.Request{ServiceMethod: "Probe.No"}, &Msg{}))
	f.Add(gobOf(f, &rpc.Request{ServiceMethod: "Probe.Same"}, "a string"))
	f.Fuzz(func(t *testing.T, in []byte) {
		w := newWorld()
		close(w.gate)
		s := NewServer(ServerConfig{Service: w.service, MaxFrame: 1 << 16, StallTimeout: time.Minute})
		defer s.Close()
		near, far := net.Pipe()
		s.admit(far)
		read := make(chan struct{})
		go func() {
			defer close(read)
			io.Copy(io.Discard, near)
		}()
		near.Write(in) // fails if the server has had enough
		near.Close()
		<-read
	})
}

func TestEncoderKeepsInStepWhateverFails(t *testing.T) {
	type Other struct{ A []Msg }
	type Third struct{ M map[string]Other }
	const limit = 256 << 10
	e := newEncoder(limit)
	var stream []byte
	var want []any
	big := strings.Repeat("x", limit+1)
	for i, body := range []any{
		Other{[]Msg{{Text: big}}}, // defines Other and Msg, and is left out
		Stubborn{make(chan int)},
		Msg{N: 1},
		Panics{},
		Other{[]Msg{{N: 2}}},
		Msg{Text: big},
		Third{map[string]Other{"k": {[]Msg{{N: 3, Text: big[:limit-1000]}}}}},
		Third{map[string]Other{"k": {}}},
		Msg{N: 4},
	} {
		header := rpc.Request{ServiceMethod: "M", Seq: uint64(i)}
		if e.message(&header, body) == nil {
			want = append(want, header, body)
		}
		stream = append(stream, e.take(nil)...)
	}
	require.Len(t, want, 10)
	dec := gob.NewDecoder(bytes.NewReader(stream))
	for _, v := range want {
		switch v := v.(type) {
		case rpc.Request:
			var got rpc.Request
			require.NoError(t, dec.Decode(&got))
			require.Equal(t, v, got)
		case Msg:
			var got Msg
			require.NoError(t, dec.Decode(&got))
			require.Equal(t, v, got)
		case Other:
			var got Other
			require.NoError(t, dec.Decode(&got))
			require.Equal(t, v, got)
		case Third:
			var got Third
			require.NoError(t, dec.Decode(&got))
			require.Len(t, got.M, 1)
		}
	}
	require.Equal(t, io.EOF, dec.Decode(&Msg{}))
}
