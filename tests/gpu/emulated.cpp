// The GPU's kernel on the CPU; FUSED_CU is the path of its source.

#include "grid.h"
#include FUSED_CU

extern "C" int run(int blocks, int threads, int shared_bytes, int order, const float *x, const int *y,
                   const int *orders, const int *widths, float *parameters, float *partial, double *state,
                   float *moments, double *statistics, const float *rates, int samples, int epochs,
                   int layers, int size, int activation, int output, int batch_size, int chunk, int stride,
                   float lr, int last_rate, int done, int noted, int position, int chunks)
{
    gridDim = {blocks, 1, 1};
    for (int block = 0; block < blocks; ++block) {
        blockIdx = {block, 0, 0};
        const grid::Outcome outcome = grid::run_block(threads, shared_bytes, order, [&] {
            train(x, y, orders, widths, parameters, partial, state, moments, statistics, rates, samples,
                  epochs, layers, size, activation, output, batch_size, chunk, stride, lr, last_rate, done,
                  noted, position, chunks);
        });
        if (outcome != grid::FINE)
            return outcome;
    }
    return 0;
}
