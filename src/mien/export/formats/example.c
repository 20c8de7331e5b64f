/*
 * Reads faces from standard input, RGB bytes of the size in mien.h one after the other, and prints the probabilities
 * of each on a line. With --golden it asks about the golden crop, and fails where the answer is not the expected one.
 */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mien.h"

static uint8_t face[MIEN_FACE_BYTES];
static float said[MIEN_ANSWERS];

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "--golden") == 0) {
        float largest = 0.0f;
        mien_predict(mien_golden_face, said);
        for (int i = 0; i < MIEN_ANSWERS; i++)
            largest = fmaxf(largest, fabsf(said[i] - mien_golden_answers[i]));
        printf("largest difference of the golden crop: %.6f\n", (double)largest);
        return largest <= 0.1f ? 0 : 1;
    }
    while (fread(face, 1, sizeof face, stdin) == sizeof face) {
        mien_predict(face, said);
        for (int i = 0; i < MIEN_ANSWERS; i++)
            printf("%.9g%c", (double)said[i], i + 1 < MIEN_ANSWERS ? ' ' : '\n');
    }
    return ferror(stdin) != 0;
}
