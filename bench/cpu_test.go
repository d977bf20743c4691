package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// ticksPerSecond is the unit of /proc/PID/stat: USER_HZ, 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// processStat is what /proc/PID/stat says; zero where there is no /proc.
type processStat struct {
	parent   int
	own      time.Duration // user and system
	children time.Duration // of those that have ended
}

func statOf(pid int) processStat {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processStat{}
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // from the third on: state, ppid, ...
	number := func(i int) int {
		n, _ := strconv.Atoi(fields[i-3])
		return n
	}
	cpu := func(user, system int) time.Duration {
		return time.Duration(number(user)+number(system)) * time.Second / ticksPerSecond
	}
	return processStat{parent: number(4), own: cpu(14, 15), children: cpu(16, 17)}
}

// postmaster is the process id of the server that the pool speaks to.
func postmaster(b *testing.B, pool *pgxpool.Pool) int {
	b.Helper()
	var backend int
	require.NoError(b, pool.QueryRow(b.Context(), `select pg_backend_pid()`).Scan(&backend))
	return statOf(backend).parent
}

// serverCPU is what a server has used: its processes, and those of its that have ended.
func serverCPU(postmaster int) time.Duration {
	server := statOf(postmaster)
	total := server.own + server.children
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if s := statOf(pid); s.parent == postmaster {
			total += s.own
		}
	}
	return total
}
