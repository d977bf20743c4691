package configtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
)

// ERP reads a kvit.yaml with nothing wrong in it, and one ERP, of the kind.
func ERP(t *testing.T, kind config.Kind, text string, env Environment) config.ERP {
	t.Helper()
	cfg, err := config.Parse("kvit.yaml", []byte(text), env.get, []config.Kind{kind})
	require.NoError(t, err)
	require.Len(t, cfg.ERPs, 1)
	return cfg.ERPs[0]
}
