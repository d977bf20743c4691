package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestLoggedParameters(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	for _, test := range []struct {
		name string
		set  string
		want []string
	}{
		{"Nothing", `set local log_statement = none`, nil},
		{"Statements", `set local log_statement = 'all'`, []string{"log_statement = all"}},
		{"Changes", `set local log_statement = 'mod'`, []string{"log_statement = mod"}},
		{"StructureOnly", `set local log_statement = 'ddl'`, nil},
		{"SlowOnes", `set local log_min_duration_statement = 100`, []string{"log_min_duration_statement = 100"}},
		{"Samples", `set local log_min_duration_sample = 0`, []string{"log_min_duration_sample = 0"}},
		{"WithoutParameters", `set local log_statement = 'all'; set local log_parameter_max_length = 0`, nil},
		{"OnError", `set local log_parameter_max_length_on_error = -1`, []string{"log_parameter_max_length_on_error = -1"}},
		{"Plans", `set local auto_explain.log_min_duration = 0`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			inner, err := tx.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = inner.Rollback(t.Context()) }()
			mustExec(t, inner, test.set)
			got, err := store.LoggedParameters(t.Context(), inner)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}
