package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// LoggedParameters names the settings by which the server, as kvit's role meets it, writes statements with their
// parameters into its log: they would put there what a hash is made with, and the values that a search for copies
// looks for. None: it does not, as far as this role can see.
func LoggedParameters(ctx context.Context, db DB) ([]string, error) {
	rows, _ := db.Query(ctx, `
		select name, setting
		from pg_settings
		where name in ('log_statement', 'log_min_duration_statement', 'log_min_duration_sample', 'log_statement_sample_rate', 'log_duration',
		               'log_transaction_sample_rate', 'log_parameter_max_length', 'log_parameter_max_length_on_error',
		               'auto_explain.log_min_duration', 'auto_explain.log_parameter_max_length', 'pgaudit.log', 'pgaudit.log_parameter')`) // ForEachRow reports its error
	settings := map[string]string{}
	var name, value string
	_, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		settings[name] = value
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what the server logs: %w", err)
	}
	return loggedParameters(settings), nil
}

func loggedParameters(s map[string]string) []string {
	var logged []string
	add := func(is bool, name string) {
		if is {
			logged = append(logged, name+" = "+s[name])
		}
	}
	if s["log_parameter_max_length"] != "0" { // else log_statement and its like are without parameters
		add(s["log_statement"] == "all" || s["log_statement"] == "mod", "log_statement")
		add(isOn(s, "log_min_duration_statement"), "log_min_duration_statement")
		add(isOn(s, "log_min_duration_sample") && s["log_statement_sample_rate"] != "0", "log_min_duration_sample")
		add(s["log_transaction_sample_rate"] != "" && s["log_transaction_sample_rate"] != "0", "log_transaction_sample_rate")
	}
	add(s["log_parameter_max_length_on_error"] != "" && s["log_parameter_max_length_on_error"] != "0", "log_parameter_max_length_on_error")
	add(isOn(s, "auto_explain.log_min_duration") && s["auto_explain.log_parameter_max_length"] != "0", "auto_explain.log_min_duration")
	add(s["pgaudit.log_parameter"] == "on" && s["pgaudit.log"] != "" && s["pgaudit.log"] != "none", "pgaudit.log_parameter")
	return logged
}

// isOn tells whether a setting is there and not -1.
func isOn(s map[string]string, name string) bool {
	return s[name] != "" && !strings.HasPrefix(s[name], "-")
}
