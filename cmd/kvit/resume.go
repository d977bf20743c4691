package main

import (
	"github.com/spf13/cobra"

	"kvit/store"
)

func (a *app) resumeCommand() *cobra.Command {
	var o pauseOptions
	cmd := &cobra.Command{
		Use: "resume DESTINATION", Short: "Let a destination work again that was paused, or that its receiver disabled with 410 Gone",
		Example: "  kvit resume crm\n  kvit resume crm --reason 'the receiver has moved'",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changePause(cmd.Context(), args[0], o, store.ResumeDestination, "works again; what waited for it is being delivered")
		},
	}
	o.register(cmd)
	return cmd
}
