package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Ask a running kvit whether it lives, for a container's health check",
		Long:    "Asks /healthz of the kvit that listens on ops.listen. It does not ask the database: a container\nmust not be restarted because the database is.",
		Example: "  kvit health",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			return askHealth(cmd.Context(), cfg.Ops.Listen)
		},
	}
}

func askHealth(ctx context.Context, listen string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("ask ops.listen: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask ops.listen: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask ops.listen: HTTP %d", response.StatusCode)
	}
	return nil
}
