package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What one ERP is in trouble with is told once an hour, hides nothing of another's, and is told at once when it comes again.
func TestERPTroublesAreToldOnceAnHour(t *testing.T) {
	t.Parallel()
	var troubles erpTroubles
	now := time.Now()
	silent, ending := erpTrouble{source: "bc", message: "silent"}, erpTrouble{source: "nav", message: "ending"}
	require.Equal(t, []erpTrouble{ending}, troubles.due([]erpTrouble{ending}, now))
	require.Equal(t, []erpTrouble{silent}, troubles.due([]erpTrouble{silent, ending}, now.Add(time.Minute)))
	require.Empty(t, troubles.due([]erpTrouble{silent, ending}, now.Add(59*time.Minute)))
	require.Equal(t, []erpTrouble{ending}, troubles.due([]erpTrouble{silent, ending}, now.Add(time.Hour)))
	require.Empty(t, troubles.due([]erpTrouble{ending}, now.Add(61*time.Minute)))
	require.Equal(t, []erpTrouble{silent}, troubles.due([]erpTrouble{silent, ending}, now.Add(62*time.Minute)))
}
