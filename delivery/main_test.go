package delivery

import (
	"testing"

	"kvit/store/storetest"
)

func TestMain(m *testing.M) { storetest.Run(m) }
