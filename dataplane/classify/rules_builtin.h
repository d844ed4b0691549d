/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rules_builtin.h - rules/replies.yaml as bytes in the program.
 *
 * Constant; scripts/embed.py writes the array while building.
 */
#ifndef SLUICE_CLASSIFY_RULES_BUILTIN_H
#define SLUICE_CLASSIFY_RULES_BUILTIN_H

#include <stddef.h>

extern const unsigned char rules_builtin[];
extern const size_t rules_builtin_bytes;

#endif
