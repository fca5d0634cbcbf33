package main

import "testing"

func TestQuantilesAreRightToThreeHundredths(t *testing.T) {
	h := &histogram{}
	for value := int64(1); value <= 100_000; value++ {
		h.add(value * 1000)
	}
	for share, want := range map[float64]float64{0.5: 50e6, 0.99: 99e6, 0.999: 99.9e6, 1: 100e6} {
		if found := float64(h.quantile(share)); found < want*0.97 || found > want*1.03 {
			t.Errorf("%v: %v, not %v", share, found, want)
		}
	}
	if found := h.summary(); found.Count != 100_000 || found.Max != 100_000_000 {
		t.Errorf("%+v", found)
	}
}

func TestEachValueLiesInItsBucket(t *testing.T) {
	for value := int64(0); value < 1<<58; value = value*5/4 + 1 {
		if found := float64(middle(bucket(value))); found < float64(value)*0.97 || found > float64(value)*1.03 {
			t.Fatalf("%d is taken for %v", value, found)
		}
	}
}

func TestNothingAndWhatIsEarly(t *testing.T) {
	h := &histogram{}
	if h.quantile(0.5) != 0 {
		t.Fatal("of nothing")
	}
	h.add(-5)
	if h.quantile(1) != 0 || h.total != 1 {
		t.Fatal("early is not late")
	}
}
