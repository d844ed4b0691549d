/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz.h - what a fuzz target offers to its drivers.
 */
#ifndef SLUICE_FUZZ_H
#define SLUICE_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0; aborts when the parser breaks its contract. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Well-formed inputs to mutate: bytes written, 0 when there are no more. */
size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max);

#endif
