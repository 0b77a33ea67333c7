package relayattn_test

import (
	"math"
	"math/rand/v2"
	"testing"
)

// tensor is [tokens, heads, dim], dense.
type tensor struct {
	heads, dim int
	values     []float32
}

func newTensor(tokens, heads, dim int) tensor {
	return tensor{heads, dim, make([]float32, tokens*heads*dim)}
}

func randomTensor(random *rand.Rand, tokens, heads, dim int) tensor {
	t := newTensor(tokens, heads, dim)
	for i := range t.values {
		t.values[i] = float32(random.NormFloat64())
	}
	return t
}

func (t tensor) head(token, head int) []float32 {
	at := (token*t.heads + head) * t.dim
	return t.values[at : at+t.dim]
}

// rows is tokens [begin, end).
func (t tensor) rows(begin, end int) tensor {
	return tensor{t.heads, t.dim, t.values[begin*t.heads*t.dim : end*t.heads*t.dim]}
}

// join is all tokens, one tensor's after the other's.
func join(parts ...tensor) tensor {
	all := tensor{heads: parts[0].heads, dim: parts[0].dim}
	for _, p := range parts {
		all.values = append(all.values, p.values...)
	}
	return all
}

// reference is the attention of one query head in float64, over the keys that are seen.
func reference(q []float32, k, v tensor, kvHead int, sees func(key int) bool) (out []float64, lse float64) {
	tokens := len(k.values) / (k.heads * k.dim)
	out, sum := make([]float64, v.dim), 0.0
	for key := range tokens {
		if !sees(key) {
			continue
		}
		score := 0.0
		for d, x := range k.head(key, kvHead) {
			score += float64(q[d]) * float64(x)
		}
		weight := math.Exp(score / math.Sqrt(float64(len(q))))
		sum += weight
		for d, x := range v.head(key, kvHead) {
			out[d] += weight * float64(x)
		}
	}
	for d := range out {
		out[d] /= sum
	}
	return out, math.Log(sum)
}

// near ends the test unless got is the reference's result, by its relative error.
func near(t testing.TB, what string, got []float32, expected []float64) {
	t.Helper()
	difference, norm := 0.0, 0.0
	for i, x := range expected {
		d := float64(got[i]) - x
		difference += d * d
		norm += x * x
	}
	if !(math.Sqrt(difference) <= 1e-6*math.Sqrt(norm)) {
		t.Fatalf("%s: relative error %g", what, math.Sqrt(difference/norm))
	}
}
