// A thread grid for the CPU: enough of CUDA C++ to run a kernel, for checking its arithmetic and its barriers.
//
// Each thread of a block is a fibre that runs from one barrier to the next while the others wait. The order in
// which they run is chosen: a kernel that lacks a barrier gives other numbers in another order. Shared memory
// starts as NaN and ends in a guard: what is read before it is written, or written beyond, shows.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include <ucontext.h>

#define __device__
#define __global__
#define __shared__
#define __launch_bounds__(most)

struct Index { int x, y, z; };
static Index threadIdx, blockIdx, blockDim, gridDim;

static const int SHARED = 48 * 1024 / 4, GUARD = 1024;
alignas(16) float memory[SHARED + GUARD];

namespace grid {

struct Fibre {
    ucontext_t context;
    std::vector<char> stack;
    long barriers;
    bool finished;
};

static ucontext_t scheduler;
static std::vector<Fibre> fibres;
static int running;
static std::function<void()> body;

static void enter()
{
    body();
    fibres[running].finished = true;
    swapcontext(&fibres[running].context, &scheduler);
}

enum Outcome { FINE, DIVERGED, WROTE_BEYOND };

// One block. `order`: 0 first thread first, 1 last thread first, 2 and more: strides of a coprime number.
static Outcome run_block(int threads, int shared_bytes, int order, const std::function<void()> &kernel)
{
    std::memset(memory, 0xff, sizeof memory);
    body = kernel;
    fibres.assign(threads, Fibre());
    for (Fibre &fibre : fibres) {
        fibre.stack.resize(64 * 1024);
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.data();
        fibre.context.uc_stack.ss_size = fibre.stack.size();
        fibre.context.uc_link = nullptr;
        makecontext(&fibre.context, enter, 0);
    }
    int step = order == 0 ? 1 : order == 1 ? threads - 1 : order;
    while (std::gcd(step, threads) != 1)
        ++step;
    blockDim = {threads, 1, 1};
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < threads; ++i) {
            running = int((order == 1 ? threads - 1 : 0) + (long)i * step) % threads;
            threadIdx = {running, 0, 0};
            if (!fibres[running].finished)
                swapcontext(&scheduler, &fibres[running].context);
            more |= !fibres[running].finished;
        }
        for (const Fibre &fibre : fibres) // a barrier that some threads pass and others don't hangs a card
            if (fibre.finished != fibres[0].finished || fibre.barriers != fibres[0].barriers)
                return DIVERGED;
    }
    const std::uint32_t *words = (const std::uint32_t *)memory;
    for (int i = shared_bytes / 4; i < SHARED + GUARD; ++i)
        if (words[i] != 0xffffffffu)
            return WROTE_BEYOND;
    return FINE;
}

} // namespace grid

static void __syncthreads()
{
    ++grid::fibres[grid::running].barriers;
    swapcontext(&grid::fibres[grid::running].context, &grid::scheduler);
}
