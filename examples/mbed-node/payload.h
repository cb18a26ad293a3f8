/*
 * The payloads of `payload`: packs what the device sends, parses what it gets.
 * Made by `ttn-ferry codec header` from the table of its codec: change that, then make this anew.
 *
 * Structs hold raw numbers; the comments say what a step of them is worth. Plain C99 and C++11, nothing is allocated.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PAYLOAD_REPORT_SIZE 8  /* bytes, at the most */
#define PAYLOAD_REPORT_TEMPERATURE_ABSENT (-32768)
#define PAYLOAD_REPORT_HUMIDITY_ABSENT 255

struct payload_report {
    int16_t temperature;  /* in steps of 0.01 °C; PAYLOAD_REPORT_TEMPERATURE_ABSENT for none */
    uint8_t humidity;     /* in steps of 0.5 %; PAYLOAD_REPORT_HUMIDITY_ABSENT for none */
    uint16_t battery;     /* Battery voltage; in steps of 0.001 V */
    bool led;
    uint16_t interval;    /* Reporting interval; in s */
};

#define PAYLOAD_SETTINGS_PORT 15
#define PAYLOAD_SETTINGS_SIZE 5  /* bytes, at the most */

struct payload_settings {
    bool has_led;
    bool led;
    bool has_interval;
    uint16_t interval;  /* Reporting interval; in s; 10 to 65535 */
};

/* Writes bits one after the other over zeros. Once something did not fit it has failed, and writes no more. */
struct payload_bit_writer {
    uint8_t *bytes;
    size_t at;  /* in bits, as is end */
    size_t end;
    bool failed;
};

/* Reads bits one after the other. Once something was missing or wrong it has failed, and reads only zeros. */
struct payload_bit_reader {
    const uint8_t *bytes;
    size_t at;  /* in bits, as is end */
    size_t end;
    bool failed;
};

/* A message of `size` bytes at the most; those beyond it are left alone. */
static inline struct payload_bit_writer payload_start_packing(uint8_t *bytes, size_t room, size_t size)
{
    const size_t used = room < size ? room : size;
    const struct payload_bit_writer to = {bytes, 0, used * 8, false};
    memset(bytes, 0, used);
    return to;
}

static inline bool payload_has_room(struct payload_bit_writer *to, size_t bits)
{
    if (bits > to->end || to->at > to->end - bits) {
        to->failed = true;
    }
    return !to->failed;
}

/* The most significant bit first. */
static inline void payload_put_be(struct payload_bit_writer *to, unsigned bits, uint32_t value)
{
    if (bits < 32 && value >> bits != 0) {
        to->failed = true;
    }
    if (payload_has_room(to, bits)) {
        while (bits-- > 0) {
            const unsigned bit = (unsigned)(value >> bits) & 1u;
            to->bytes[to->at / 8] = (uint8_t)(to->bytes[to->at / 8] | (bit << (7 - to->at % 8)));
            to->at++;
        }
    }
}

/* The number in so many bits of two's complement. */
static inline uint32_t payload_to_twos(struct payload_bit_writer *to, unsigned bits, int32_t number)
{
    const uint32_t sign = (uint32_t)1 << (bits - 1);
    const uint32_t mask = sign | (sign - 1);
    if (bits < 32 && (uint32_t)number + sign > mask) {
        to->failed = true;
    }
    return (uint32_t)number & mask;
}

static inline void payload_must_hold(struct payload_bit_reader *from, bool holds)
{
    if (!holds) {
        from->failed = true;
    }
}

/* How many bits there are still to read. */
static inline size_t payload_bits_left(const struct payload_bit_reader *from)
{
    return from->failed || from->at > from->end ? 0 : from->end - from->at;
}

static inline bool payload_has_bits(struct payload_bit_reader *from, size_t bits)
{
    payload_must_hold(from, bits <= payload_bits_left(from));
    return !from->failed;
}

/* The most significant bit first. */
static inline uint32_t payload_get_be(struct payload_bit_reader *from, unsigned bits)
{
    uint32_t value = 0;
    if (payload_has_bits(from, bits)) {
        while (bits-- > 0) {
            const unsigned bit = ((unsigned)from->bytes[from->at / 8] >> (7 - from->at % 8)) & 1u;
            value = (value << 1) | bit;
            from->at++;
        }
    }
    return value;
}

/*
 * Packs the message. Returns its length in bytes:
 * 0 if there is nothing to send, no room, or a number that does not fit its bits.
 */
static inline size_t payload_pack_report(const struct payload_report *values, uint8_t *bytes, size_t room)
{
    struct payload_bit_writer to = payload_start_packing(bytes, room, PAYLOAD_REPORT_SIZE);
    payload_put_be(&to, 16, payload_to_twos(&to, 16, values->temperature));
    payload_put_be(&to, 8, values->humidity);
    payload_put_be(&to, 16, values->battery);
    payload_put_be(&to, 8, values->led ? 0x01u : 0u);
    payload_put_be(&to, 16, values->interval);
    return to.failed ? 0 : (to.at + 7) / 8;
}

/*
 * Parses the message. One that is not whole, or says what it may not, is refused:
 * then the answer is false, and `values` are as before.
 */
static inline bool payload_parse_settings(
    uint8_t port, const uint8_t *bytes, size_t length, struct payload_settings *values)
{
    struct payload_bit_reader from = {bytes, 0, length * 8, false};
    struct payload_settings parsed;
    memset(&parsed, 0, sizeof parsed);
    if (port != 15) {
        return false;
    }
    while (payload_bits_left(&from) > 0) {
        switch (payload_get_be(&from, 8)) {
            case 0x01u:
                parsed.led = payload_get_be(&from, 8) != 0;
                parsed.has_led = true;
                break;
            case 0x02u:
                parsed.interval = (uint16_t)payload_get_be(&from, 16);
                payload_must_hold(&from, parsed.interval >= 10);
                parsed.has_interval = true;
                break;
            default:
                from.failed = true;
                break;
        }
    }
    if (from.failed) {
        return false;
    }
    *values = parsed;
    return true;
}

#endif
