package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

func TestPassword(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, typed string) (string, error) {
		var out bytes.Buffer
		a := &app{stdout: &out, stderr: &bytes.Buffer{}}
		cmd := a.passwordCommand()
		cmd.SetIn(strings.NewReader(typed))
		cmd.SetArgs(nil)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.ExecuteContext(t.Context())
		return strings.TrimSpace(out.String()), err
	}
	t.Run("Hash", func(t *testing.T) {
		t.Parallel()
		hash, err := ask(t, "correct horse battery\r\nand more\n")
		require.NoError(t, err)
		require.NoError(t, bcrypt.CompareHashAndPassword([]byte(hash), []byte("correct horse battery")))
	})
	for name, typed := range map[string]string{"Empty": "", "Short": "elevenchars\n", "Long": strings.Repeat("å", 37) + "\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hash, err := ask(t, typed)
			require.Error(t, err)
			require.Empty(t, hash)
		})
	}
}
