package erasure

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
)

func TestReferencesOfRequests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reference, id string
		fits          bool
	}{
		{"TICKET-17", "", true}, {"17", "4711", true}, {"Anfrage 2026/3", "4711", true}, {"TICKET-17", "17", true},
		{"17", "17", false}, {"C-123456 asks", "c-123456", false}, {"jane@example.com", "", false}, {strings.Repeat("x", 101), "", false},
	} {
		err := SubjectRequest{Subject: store.Subject{CustomerID: c.id}, Reference: c.reference}.CheckReference()
		require.Equal(t, c.fits, err == nil, "%s for %s: %v", c.reference, c.id, err)
	}
}
