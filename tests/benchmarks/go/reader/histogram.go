package main

import "math/bits"

// histogram counts nanoseconds in buckets that are 1/32 of their value wide; what is below zero counts as zero.
type histogram struct {
	counts [60 * 32]int64
	total  int64
	sum    float64
	most   int64
}

func (h *histogram) add(value int64) {
	if value < 0 {
		value = 0
	}
	h.counts[bucket(value)]++
	h.total++
	h.sum += float64(value)
	if value > h.most {
		h.most = value
	}
}

func bucket(value int64) int {
	if value < 64 {
		return int(value)
	}
	shift := bits.Len64(uint64(value)) - 6
	return shift*32 + int(value>>shift)
}

// middle is the value in the middle of a bucket.
func middle(bucket int) int64 {
	if bucket < 64 {
		return int64(bucket)
	}
	shift := bucket/32 - 1
	return int64(bucket-shift*32)<<shift + int64(1)<<shift/2
}

// quantile is the value below which that share of all values lies; 0 if there are none.
func (h *histogram) quantile(share float64) int64 {
	if h.total == 0 {
		return 0
	}
	rank, below := int64(share*float64(h.total-1)), int64(0)
	for at, count := range h.counts {
		if below += count; below > rank {
			return min(middle(at), h.most)
		}
	}
	return h.most
}

// summary is what the harness reads: nanoseconds.
type summary struct {
	Count int64      `json:"count"`
	Mean  float64    `json:"mean"`
	P50   int64      `json:"p50"`
	P90   int64      `json:"p90"`
	P99   int64      `json:"p99"`
	P999  int64      `json:"p999"`
	Max   int64      `json:"max"`
	Curve [][2]int64 `json:"curve"` // (ten thousandths of all values, nanoseconds)
}

var shares = []int64{0, 1000, 2500, 5000, 7500, 9000, 9500, 9800, 9900, 9950, 9990, 9999}

func (h *histogram) summary() summary {
	found := summary{
		Count: h.total, P50: h.quantile(0.5), P90: h.quantile(0.9), P99: h.quantile(0.99), P999: h.quantile(0.999), Max: h.most,
	}
	if h.total > 0 {
		found.Mean = h.sum / float64(h.total)
	}
	for _, share := range shares {
		found.Curve = append(found.Curve, [2]int64{share, h.quantile(float64(share) / 10000)})
	}
	return found
}
