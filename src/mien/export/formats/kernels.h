/* What the generated mien.c calls. Plain C99, no allocation; activations are uint8, weights int8, sums int32. */

#ifndef MIEN_KERNELS_H
#define MIEN_KERNELS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Activations: scale * (number - zero), rows of pixels of channels. */
typedef struct {
    uint8_t *data;
    int height, width, channels, zero;
    float scale;
} mien_tensor;

/* A convolution: weights [outputs][side of the window, twice][channels]; bias holds what the input's zero adds. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const float *multipliers;
    int window_height, window_width, stride, top, left;
} mien_convolution;

static inline uint8_t mien_round(float value, int zero)
{
    float bounded = value < -1000.0f ? -1000.0f : value > 1000.0f ? 1000.0f : value;
    long number = lrintf(bounded) + zero;
    return (uint8_t)(number < 0 ? 0 : number > 255 ? 255 : number);
}

static inline int32_t mien_dot(const uint8_t *numbers, const int8_t *weights, int count)
{
    int32_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += (int32_t)numbers[i] * (int32_t)weights[i];
    return sum;
}

/* The window of a pixel into one row; what lies outside the picture is zero. */
static inline void mien_window(const mien_tensor *from, const mien_convolution *by, int row, int column, uint8_t *window)
{
    const int channels = from->channels;
    for (int y = 0; y < by->window_height; y++) {
        const int line = row * by->stride - by->top + y;
        for (int x = 0; x < by->window_width; x++, window += channels) {
            const int place = column * by->stride - by->left + x;
            if (line < 0 || line >= from->height || place < 0 || place >= from->width)
                memset(window, from->zero, (size_t)channels);
            else
                memcpy(window, from->data + (line * from->width + place) * channels, (size_t)channels);
        }
    }
}

static inline void mien_convolve(const mien_tensor *from, const mien_convolution *by, const mien_tensor *to, uint8_t *window)
{
    const int count = by->window_height * by->window_width * from->channels;
    uint8_t *out = to->data;
    for (int row = 0; row < to->height; row++)
        for (int column = 0; column < to->width; column++) {
            const int8_t *weights = by->weights;
            mien_window(from, by, row, column, window);
            for (int output = 0; output < to->channels; output++, weights += count) {
                const int32_t sum = mien_dot(window, weights, count) + by->bias[output];
                *out++ = mien_round((float)sum * by->multipliers[output], to->zero);
            }
        }
}

static inline void mien_add(const mien_tensor *first, const mien_tensor *second, const mien_tensor *to)
{
    const int count = to->height * to->width * to->channels;
    for (int i = 0; i < count; i++) {
        const float sum = first->scale * (float)(first->data[i] - first->zero)
                        + second->scale * (float)(second->data[i] - second->zero);
        to->data[i] = mien_round(sum / to->scale, to->zero);
    }
}

static inline void mien_mean(const mien_tensor *from, const mien_tensor *to)
{
    const int pixels = from->height * from->width;
    for (int channel = 0; channel < from->channels; channel++) {
        int32_t sum = 0;
        for (int i = 0; i < pixels; i++)
            sum += from->data[i * from->channels + channel] - from->zero;
        to->data[channel] = mien_round((float)sum * from->scale / (float)pixels / to->scale, to->zero);
    }
}

/* RGB to the first tensor: mix [channels][3] and offset [channels]. */
static inline void mien_read(const uint8_t *rgb, const float *mix, const float *offset, const mien_tensor *to)
{
    const int pixels = to->height * to->width;
    for (int i = 0; i < pixels; i++, rgb += 3)
        for (int c = 0; c < to->channels; c++) {
            const float value = mix[3 * c] * (float)rgb[0] + mix[3 * c + 1] * (float)rgb[1]
                              + mix[3 * c + 2] * (float)rgb[2] + offset[c];
            to->data[i * to->channels + c] = mien_round(value / to->scale, to->zero);
        }
}

/* Logits of a head: weights [labels][channels]. */
static inline void mien_answer_of(const mien_tensor *from, const int8_t *weights, const float *scales, const float *bias,
                                  int labels, float *logits)
{
    for (int k = 0; k < labels; k++, weights += from->channels) {
        int32_t sum = 0;
        for (int i = 0; i < from->channels; i++)
            sum += (from->data[i] - from->zero) * weights[i];
        logits[k] = (float)sum * from->scale * scales[k] + bias[k];
    }
}

/* In place: values to their logarithms of softmax. */
static inline void mien_log_softmax(float *values, int count)
{
    float largest = values[0], sum = 0.0f;
    for (int i = 1; i < count; i++)
        largest = values[i] > largest ? values[i] : largest;
    for (int i = 0; i < count; i++)
        sum += expf(values[i] - largest);
    for (int i = 0; i < count; i++)
        values[i] -= largest + logf(sum);
}

/* In place: logits to the logarithms of calibrated probabilities; those themselves into probabilities. */
static inline void mien_calibrate(float *values, int count, float temperature, float power, const float *bias,
                                  float *probabilities)
{
    mien_log_softmax(values, count);
    for (int i = 0; i < count; i++)
        values[i] = bias[i] - powf(fabsf(values[i]), power) / temperature;
    mien_log_softmax(values, count);
    for (int i = 0; i < count; i++)
        probabilities[i] = expf(values[i]);
}

#endif
