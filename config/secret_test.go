package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	const marker = "secret-marker"
	type holder struct {
		Open   Secret
		hidden Secret
		Map    map[string]Secret
		Slice  []Secret
		Ref    *Secret
	}
	secret := NewSecret(marker)
	h := holder{secret, secret, map[string]Secret{"k": secret}, []Secret{secret}, &secret}
	cfg := parse(t, tills)

	for _, value := range []any{secret, &secret, h, &h, cfg, cfg.Destinations[0].Settings, cfg.Destinations} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%10v"} {
			requireNoSecret(t, fmt.Sprintf(verb, value))
		}
		requireNoSecret(t, fmt.Sprint(value), fmt.Sprintln(value))

		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		requireNoSecret(t, string(encoded))

		encoded, err = yaml.Marshal(value)
		require.NoError(t, err)
		requireNoSecret(t, string(encoded))

		var logged bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
			slog.New(handler).Info("configuration read", "value", value, slog.Group("group", "value", value))
		}
		requireNoSecret(t, logged.String())

		err = fmt.Errorf("connect %v: %w", value, errors.New("refused"))
		requireNoSecret(t, err.Error(), fmt.Sprintf("%#v", err))
	}
}

func requireNoSecret(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		require.NotContains(t, text, "marker")
		require.NotContains(t, text, "6d61726b6572", "marker in hexadecimal")
	}
}

func TestSecretSaysWhetherItIsSet(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(map[string]Secret{"a": NewSecret("x"), "b": NewSecret(""), "c": {}})
	require.NoError(t, err)
	require.JSONEq(t, `{"a":"(set)","b":"(not set)","c":"(not set)"}`, string(encoded))
	require.Equal(t, "(set) (not set)", fmt.Sprintf("%s %#v", NewSecret("x"), Secret{}))
	require.Equal(t, "(set)", NewSecret("x").GoString())
	require.Equal(t, "x", NewSecret("x").Reveal())
	require.Empty(t, Secret{}.Reveal())
	require.True(t, NewSecret("x").IsSet())
	require.False(t, NewSecret("").IsSet())
}
