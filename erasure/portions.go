package erasure

// Plus adds what an earlier portion of the same run has done to a report that tells of the last one. Lists of what is left are
// the last one's.
func (r Report) Plus(earlier Report) Report {
	r.Orders += earlier.Orders
	r.Events += earlier.Events
	r.Purged += earlier.Purged
	r.Rows = sums(r.Rows, earlier.Rows)
	r.Tables = sums(r.Tables, earlier.Tables)
	if len(earlier.Samples) > 0 {
		r.Samples = earlier.Samples
	}
	return r
}

func sums[N int | int64](a, b map[string]N) map[string]N {
	all := map[string]N{}
	for _, counts := range []map[string]N{a, b} {
		for key, n := range counts {
			all[key] += n
		}
	}
	return all
}
