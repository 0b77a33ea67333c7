// Advanced SIMD, which every 64-bit Arm has: four lanes, thirty-two registers.
#include <arm_neon.h>

#include "impl/cpu/kernels/table.h"

namespace relayattn::cpu {
namespace {

struct Neon {
    using F = float32x4_t;
    static constexpr bool has_dot = false;
    static constexpr bool has_scale = false;
    static constexpr int width = 4;
    static constexpr int max_rows = 6;
    static constexpr int accumulators = 24;
    static constexpr int max_wide = 2;

    static F zero() { return vdupq_n_f32(0); }
    static F set(float x) { return vdupq_n_f32(x); }
    static F load(const float* p) { return vld1q_f32(p); }
    static void store(float* p, F a) { vst1q_f32(p, a); }
    static F add(F a, F b) { return vaddq_f32(a, b); }
    static F sub(F a, F b) { return vsubq_f32(a, b); }
    static F mul(F a, F b) { return vmulq_f32(a, b); }
    static F div(F a, F b) { return vdivq_f32(a, b); }
    static F max(F a, F b) { return vmaxnmq_f32(a, b); }
    static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
    static void add_product(F& sum, F a, F b) { sum = vfmaq_f32(sum, a, b); }
    static F select_less(F a, F b, F x, F y) { return vbslq_f32(vcltq_f32(a, b), x, y); }
    static F scale_exponent(F p, F t) {
        return as_float(vaddq_u32(as_bits(p), vshlq_n_u32(as_bits(t), 23)));
    }
    static float hmax(F a) { return vmaxnmvq_f32(a); }
    static float hsum(F a) { return vaddvq_f32(a); }

    static F widen(const float* p) { return load(p); }
    static F widen(const F16* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&p->bits))); }
    static F widen(const Bf16* p) { return as_float(vshll_n_u16(vld1_u16(&p->bits), 16)); }
    template <int U>
    static F widen_pair(const Bf16* p) {
        const uint32x4_t x = vreinterpretq_u32_u16(vld1q_u16(&p->bits));
        return as_float(U == 0 ? vshlq_n_u32(x, 16) : vandq_u32(x, vdupq_n_u32(0xffff0000)));
    }

    static void narrow(float* p, F a) { store(p, a); }
    static void narrow(F16* p, F a) { vst1_u16(&p->bits, vreinterpret_u16_f16(vcvt_f16_f32(a))); }
    static void narrow(Bf16* p, F a) {
        const uint32x4_t x = as_bits(a);
        const uint32x4_t odd = vandq_u32(vshrq_n_u32(x, 16), vdupq_n_u32(1));
        const uint32x4_t near = vaddq_u32(x, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
        const uint32x4_t quiet = vorrq_u32(x, vdupq_n_u32(0x400000));
        vst1_u16(&p->bits, vshrn_n_u32(vbslq_u32(vceqq_f32(a, a), near, quiet), 16));
    }

  private:
    static uint32x4_t as_bits(F a) { return vreinterpretq_u32_f32(a); }
    static F as_float(uint32x4_t a) { return vreinterpretq_f32_u32(a); }
};

}  // namespace

constexpr KernelTable k_neon_kernels = kernels_of<Neon>;

}  // namespace relayattn::cpu
