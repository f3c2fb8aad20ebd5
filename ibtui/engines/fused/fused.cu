// Stochastic gradient descent on a stack of Dense layers, many batches in one launch; one block, one network.
// Compiled at run time: by NVRTC for a card; for the tests, by a C++ compiler for the CPU.
//
// A batch is taken in chunks of samples, one chunk where it fits. Weights, the chunk's activations ("values")
// and its gradients by each layer's sums ("deltas") stay in shared memory. A chunk goes through phases with a
// barrier after each: load, every layer forward, loss, every layer backward, update. Threads share out a
// phase's (unit, sample) pairs and, in the last, the parameters. One thread sums a parameter's gradient, over
// the samples in their order: every sum has one order, whatever the card, and a run repeats to the bit.
//
// Variants are compiled where they are asked for, with
//   ADAM       1: Adam descends; NEWS1 and NEWS2 are the shares of news in its moments
//   GRADIENTS  1: mean and scatter of the batches' gradients in the epoch `noted`
// Moments and statistics stay in global memory: of a parameter's, only the thread that updates it makes use.

#ifndef ADAM
#define ADAM 0
#define NEWS1 0.0f
#define NEWS2 0.0f
#endif
#ifndef GRADIENTS
#define GRADIENTS 0
#endif

namespace {

enum Activation { TANH, RELU, SIGMOID, LINEAR };

// NaN passes through all of these: no comparison with it is true.
__device__ float activate(int activation, float z)
{
    if (activation == TANH)
        return tanhf(z);
    if (activation == RELU)
        return z < 0.0f ? 0.0f : z;
    if (activation == LINEAR)
        return z;
    return 1.0f / (1.0f + expf(-z));
}

// A gradient by an activation of value t, carried on to the sum it is the activation of.
__device__ float through(int activation, float t, float gradient)
{
    if (activation == TANH)
        return gradient * (1.0f - t * t);
    if (activation == RELU)
        return t <= 0.0f ? 0.0f : gradient;
    if (activation == LINEAR)
        return gradient;
    return gradient * t * (1.0f - t);
}

// A parameter's gradient is the sum, over samples, of a row of deltas times a row of values; a bias has none.
struct Rows {
    int delta;
    int value; // -1: a bias
};

__device__ Rows rows_of(int parameter, const int *widths, int layers)
{
    int inputs = 0; // the row of the layer's first input
    int layer = 1;
    for (; layer < layers; ++layer) {
        const int size = widths[layer] * (widths[layer - 1] + 1);
        if (parameter < size)
            break;
        parameter -= size;
        inputs += widths[layer - 1];
    }
    const int before = widths[layer - 1];
    const int weights = widths[layer] * before;
    const int deltas = inputs + before - widths[0];
    Rows rows;
    rows.delta = deltas + (parameter < weights ? parameter / before : parameter - weights);
    rows.value = parameter < weights ? inputs + parameter % before : -1;
    return rows;
}

// Takes a batch's gradient, batches counted from 1, into the mean and the sum of squared differences from it:
// by Welford's recurrence nothing cancels where the noise is small.
__device__ void note(float gradient, int batch, double *mean, double *scatter)
{
    const double before = batch == 1 ? 0.0 : *mean, summed = batch == 1 ? 0.0 : *scatter;
    const double difference = gradient - before;
    const double after = before + difference / batch;
    *mean = after;
    *scatter = summed + difference * (gradient - after);
}

// The step of a parameter by Adam; `rate` is the rate and then the guard of this step's number.
__device__ float step_of(float gradient, const float *rate, float *moment1, float *moment2)
{
    const float first = *moment1 + NEWS1 * (gradient - *moment1);
    const float second = *moment2 + NEWS2 * (gradient * gradient - *moment2);
    *moment1 = first;
    *moment2 = second;
    return rate[0] * first / (sqrtf(second) + rate[1]);
}

} // namespace

extern __shared__ float memory[];

// Networks lie one after the other in orders, parameters, partial, state, moments and statistics.
//
//   x           (samples, widths[0])
//   y           (samples) classes, 0 to widths[layers] - 1
//   orders      (epochs, samples) the order of the samples in each epoch
//   widths      (layers + 1) of the inputs, then of each layer
//   parameters  of each layer, weights by rows, then biases
//   partial     (size + 1) sums over the chunks of a batch that is not finished
//   state       moving loss; loss of the unfinished batch; position, counted in samples from the first epoch on
//   moments     (2, size) Adam's
//   statistics  (2, size) means, and sums of squared differences from them, of the gradients in epoch `noted`
//   rates       (steps, 2) rate and guard of Adam's steps, of which `done` were made before the first epoch here;
//               the `last_rate` serves all that follow
//
// Goes on from `position` for `chunks` chunks, or to the end of the epochs. `stride` is odd and at least
// `chunk`: the memory from row to row, such that threads in neighbouring rows meet different banks.
extern "C" __global__ void __launch_bounds__(512)
train(const float *x, const int *y, const int *orders, const int *widths, float *parameters, float *partial,
      double *state, float *moments, double *statistics, const float *rates, int samples, int epochs,
      int layers, int size, int activation, int output, int batch_size, int chunk, int stride, float lr,
      int last_rate, int done, int noted, int position, int chunks)
{
    orders += (long long)blockIdx.x * epochs * samples;
    parameters += (long long)blockIdx.x * size;
    partial += (long long)blockIdx.x * (size + 1);
    state += (long long)blockIdx.x * 3;
    moments += (long long)blockIdx.x * 2 * size;
    statistics += (long long)blockIdx.x * 2 * size;

    const int thread = threadIdx.x;
    const int threads = blockDim.x;
    const int lane = thread % chunk; // which of the chunk's samples, and which rows
    const int first_row = thread / chunk;
    const int row_step = threads / chunk;
    const bool paired = first_row < row_step;

    int units = 0;
    for (int layer = 1; layer <= layers; ++layer)
        units += widths[layer];
    float *const weights = memory;
    float *const values = weights + size;
    float *const deltas = values + (widths[0] + units) * stride;
    float *const losses = deltas + units * stride;
    int *const wide = (int *)(losses + stride); // the widths once more, near
    for (int i = thread; i < size; i += threads)
        weights[i] = parameters[i];
    for (int i = thread; i <= layers; i += threads)
        wide[i] = widths[i];
    __syncthreads();

    const int inputs = wide[0];
    const int classes = wide[layers];
    const int outputs = inputs + units - classes; // row of the first
    const double whole = 1.0 / batch_size, rest = 1.0 / (samples - samples / batch_size * batch_size);
    const float whole_share = (float)whole, rest_share = (float)rest;
    double moving_loss = state[0]; // this and the next have meaning in one thread only
    double batch_loss = state[1];
    int parameter = -1; // the one that `rows` are of
    Rows rows = {0, 0};

    const int end = epochs * samples;
    int at = position % samples;      // in the epoch
    int batch = at - at % batch_size; // where the batch began
    for (; position < end && chunks > 0; --chunks) {
        const bool full = samples - batch >= batch_size; // the last batch of an epoch may be short
        const int left = (full ? batch + batch_size : samples) - at;
        const int count = left < chunk ? left : chunk;
        const bool begins = at == batch;
        const bool ends = left == count;
        const bool busy = paired && lane < count;

        // Load.
        int sample = 0;
        if (busy) {
            sample = orders[position + lane];
            for (int row = first_row; row < inputs; row += row_step)
                values[row * stride + lane] = x[(long long)sample * inputs + row];
        }
        __syncthreads();

        // Forward.
        const float *weight = weights;
        int source = 0; // row of the layer's first input
        for (int layer = 1; layer <= layers; ++layer) {
            const int before = wide[layer - 1], after = wide[layer];
            const int function = layer == layers ? output : activation;
            const float *const bias = weight + after * before;
            if (busy)
                for (int unit = first_row; unit < after; unit += row_step) {
                    float z = bias[unit];
                    for (int i = 0; i < before; ++i)
                        z = fmaf(weight[unit * before + i], values[(source + i) * stride + lane], z);
                    values[(source + before + unit) * stride + lane] = activate(function, z);
                }
            weight = bias + after;
            source += before;
            __syncthreads();
        }

        // Loss: cross-entropy of the softmax, and its gradient by the last layer's sums.
        if (busy && first_row == 0) {
            const float *const logits = values + outputs * stride + lane;
            float *const delta = deltas + (outputs - inputs) * stride + lane;
            float largest = logits[0];
            for (int unit = 1; unit < classes; ++unit)
                largest = logits[unit * stride] > largest ? logits[unit * stride] : largest;
            const int label = y[sample];
            const float share = full ? whole_share : rest_share;
            float sum = 0.0f, right = 0.0f;
            for (int unit = 0; unit < classes; ++unit) {
                const float logit = logits[unit * stride] - largest;
                const float power = expf(logit);
                sum += power;
                right = unit == label ? logit : right;
                delta[unit * stride] = power;
            }
            for (int unit = 0; unit < classes; ++unit) {
                const float error = delta[unit * stride] / sum - (unit == label ? 1.0f : 0.0f);
                delta[unit * stride] = through(output, logits[unit * stride], error * share);
            }
            losses[lane] = logf(sum) - right;
        }
        __syncthreads();

        // Backward.
        weight = weights + size;
        int target = outputs; // row of the layer's first unit
        for (int layer = layers; layer > 1; --layer) {
            const int before = wide[layer - 1], after = wide[layer];
            weight -= after * (before + 1);
            if (busy)
                for (int i = first_row; i < before; i += row_step) {
                    const int row = target - before + i;
                    float gradient = 0.0f;
                    for (int unit = 0; unit < after; ++unit)
                        gradient = fmaf(weight[unit * before + i],
                                        deltas[(target - inputs + unit) * stride + lane], gradient);
                    deltas[(row - inputs) * stride + lane] =
                        through(activation, values[row * stride + lane], gradient);
                }
            target -= before;
            __syncthreads();
        }

        // Update. The loss is summed as if it were one parameter more.
        const int epoch = position / samples, number = batch / batch_size;
        const int step = done + epoch * ((samples + batch_size - 1) / batch_size) + number;
        const float *const rate = rates + 2 * (step < last_rate ? step : last_rate);
        for (int i = thread; i <= size; i += threads) {
            if (i < size && i != parameter) {
                parameter = i;
                rows = rows_of(i, wide, layers);
            }
            const float *const delta = i < size ? deltas + rows.delta * stride : losses;
            float sum = 0.0f;
            if (i < size && rows.value >= 0) {
                const float *const value = values + rows.value * stride;
                for (int k = 0; k < count; ++k)
                    sum = fmaf(delta[k], value[k], sum);
            } else {
                for (int k = 0; k < count; ++k)
                    sum += delta[k];
            }
            if (i == size) {
                batch_loss = begins ? sum : batch_loss + sum;
                if (ends) {
                    const double loss = batch_loss * (full ? whole : rest);
                    moving_loss = moving_loss != moving_loss ? loss : 0.9 * moving_loss + 0.1 * loss;
                }
                continue;
            }
            if (!begins)
                sum += partial[i];
            if (!ends) {
                partial[i] = sum;
                continue;
            }
            if (GRADIENTS && epoch == noted)
                note(sum, number + 1, statistics + i, statistics + size + i);
            if (ADAM)
                weights[i] -= step_of(sum, rate, moments + i, moments + size + i);
            else
                weights[i] -= lr * sum;
        }
        __syncthreads();

        position += count;
        at += count;
        if (ends)
            batch = at;
        if (at == samples)
            at = batch = 0;
    }

    for (int i = thread; i < size; i += threads)
        parameters[i] = weights[i];
    if (thread == size % threads) { // the one that summed the losses
        state[0] = moving_loss;
        state[1] = batch_loss;
        state[2] = position;
    }
}
