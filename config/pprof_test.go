package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPprofIsOffByDefault(t *testing.T) {
	t.Parallel()
	const database = `database: {url: "${PG}"}` + "\n"
	for yaml, listen := range map[string]string{
		"":                                      "",
		"ops: {pprof: false}":                   "",
		"ops: {pprof_listen: '127.0.0.1:7070'}": "",
		"ops: {pprof: true}":                    "127.0.0.1:6060",
		"ops: {pprof: true, listen: off}":       "127.0.0.1:6060",
		"ops: {pprof: true, pprof_listen: '[::1]:0'}": "[::1]:0",
	} {
		require.Equal(t, listen, parse(t, database+yaml).Ops.Pprof, yaml)
	}
}
