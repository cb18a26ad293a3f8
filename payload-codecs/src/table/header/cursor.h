//: bit_writer
/* Writes bits one after the other over zeros. Once something did not fit it has failed, and writes no more. */
struct PREFIX_bit_writer {
    uint8_t *bytes;
    size_t at;  /* in bits, as is end */
    size_t end;
    bool failed;
};

//: bit_reader
/* Reads bits one after the other. Once something was missing or wrong it has failed, and reads only zeros. */
struct PREFIX_bit_reader {
    const uint8_t *bytes;
    size_t at;  /* in bits, as is end */
    size_t end;
    bool failed;
};

//: float_bits
static inline uint32_t PREFIX_float_bits(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

//: float_of
static inline float PREFIX_float_of(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

//: double_bits
static inline uint64_t PREFIX_double_bits(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

//: double_of
static inline double PREFIX_double_of(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

//: start_packing
/* A message of `size` bytes at the most; those beyond it are left alone. */
static inline struct PREFIX_bit_writer PREFIX_start_packing(uint8_t *bytes, size_t room, size_t size)
{
    const size_t used = room < size ? room : size;
    const struct PREFIX_bit_writer to = {bytes, 0, used * 8, false};
    memset(bytes, 0, used);
    return to;
}

//: has_room
static inline bool PREFIX_has_room(struct PREFIX_bit_writer *to, size_t bits)
{
    if (bits > to->end || to->at > to->end - bits) {
        to->failed = true;
    }
    return !to->failed;
}

//: put_be
/* The most significant bit first. */
static inline void PREFIX_put_be(struct PREFIX_bit_writer *to, unsigned bits, WORD value)
{
    if (bits < WIDTH && value >> bits != 0) {
        to->failed = true;
    }
    if (PREFIX_has_room(to, bits)) {
        while (bits-- > 0) {
            const unsigned bit = (unsigned)(value >> bits) & 1u;
            to->bytes[to->at / 8] = (uint8_t)(to->bytes[to->at / 8] | (bit << (7 - to->at % 8)));
            to->at++;
        }
    }
}

//: put_le
/* The least significant bit first. */
static inline void PREFIX_put_le(struct PREFIX_bit_writer *to, unsigned bits, WORD value)
{
    if (bits < WIDTH && value >> bits != 0) {
        to->failed = true;
    }
    if (PREFIX_has_room(to, bits)) {
        while (bits-- > 0) {
            const unsigned bit = (unsigned)value & 1u;
            to->bytes[to->at / 8] = (uint8_t)(to->bytes[to->at / 8] | (bit << (to->at % 8)));
            to->at++;
            value >>= 1;
        }
    }
}

//: to_twos
/* The number in so many bits of two's complement. */
static inline WORD PREFIX_to_twos(struct PREFIX_bit_writer *to, unsigned bits, INT number)
{
    const WORD sign = (WORD)1 << (bits - 1);
    const WORD mask = sign | (sign - 1);
    if (bits < WIDTH && (WORD)number + sign > mask) {
        to->failed = true;
    }
    return (WORD)number & mask;
}

//: put_zeros
static inline void PREFIX_put_zeros(struct PREFIX_bit_writer *to, size_t bits)
{
    if (PREFIX_has_room(to, bits)) {
        to->at += bits;
    }
}

//: put_bytes
static inline void PREFIX_put_bytes(struct PREFIX_bit_writer *to, const void *bytes, size_t length)
{
    if (PREFIX_has_room(to, length * 8)) {
        memcpy(to->bytes + to->at / 8, bytes, length);
        to->at += length * 8;
    }
}

//: text_length
/* How long the text is. One without a NUL at its end does not fit. */
static inline size_t PREFIX_text_length(struct PREFIX_bit_writer *to, const char *text, size_t most)
{
    size_t length = 0;
    while (length < most && text[length] != '\0') {
        length++;
    }
    if (text[length] != '\0') {
        to->failed = true;
    }
    return length;
}

//: put_text
/* The text, filled up with NULs. */
static inline void PREFIX_put_text(struct PREFIX_bit_writer *to, const char *text, size_t size)
{
    const size_t length = PREFIX_text_length(to, text, size);
    PREFIX_put_bytes(to, text, length);
    PREFIX_put_zeros(to, (size - length) * 8);
}

//: must_hold
static inline void PREFIX_must_hold(struct PREFIX_bit_reader *from, bool holds)
{
    if (!holds) {
        from->failed = true;
    }
}

//: bits_left
/* How many bits there are still to read. */
static inline size_t PREFIX_bits_left(const struct PREFIX_bit_reader *from)
{
    return from->failed || from->at > from->end ? 0 : from->end - from->at;
}

//: has_bits
static inline bool PREFIX_has_bits(struct PREFIX_bit_reader *from, size_t bits)
{
    PREFIX_must_hold(from, bits <= PREFIX_bits_left(from));
    return !from->failed;
}

//: get_be
/* The most significant bit first. */
static inline WORD PREFIX_get_be(struct PREFIX_bit_reader *from, unsigned bits)
{
    WORD value = 0;
    if (PREFIX_has_bits(from, bits)) {
        while (bits-- > 0) {
            const unsigned bit = ((unsigned)from->bytes[from->at / 8] >> (7 - from->at % 8)) & 1u;
            value = (value << 1) | bit;
            from->at++;
        }
    }
    return value;
}

//: get_le
/* The least significant bit first. */
static inline WORD PREFIX_get_le(struct PREFIX_bit_reader *from, unsigned bits)
{
    WORD value = 0;
    if (PREFIX_has_bits(from, bits)) {
        for (unsigned i = 0; i < bits; i++) {
            const unsigned bit = ((unsigned)from->bytes[from->at / 8] >> (from->at % 8)) & 1u;
            value |= (WORD)bit << i;
            from->at++;
        }
    }
    return value;
}

//: of_twos
/* The number that so many bits of two's complement stand for. */
static inline INT PREFIX_of_twos(unsigned bits, WORD value)
{
    const WORD sign = (WORD)1 << (bits - 1);
    return (INT)((value ^ sign) - sign);
}

//: skip_bits
static inline void PREFIX_skip_bits(struct PREFIX_bit_reader *from, size_t bits)
{
    if (PREFIX_has_bits(from, bits)) {
        from->at += bits;
    }
}

//: get_bytes
static inline void PREFIX_get_bytes(struct PREFIX_bit_reader *from, void *bytes, size_t length)
{
    if (PREFIX_has_bits(from, length * 8)) {
        memcpy(bytes, from->bytes + from->at / 8, length);
        from->at += length * 8;
    }
}

//: get_rest
/* All that is left, if it is not longer than `most`; returns its length. */
static inline uint8_t PREFIX_get_rest(struct PREFIX_bit_reader *from, void *bytes, size_t most)
{
    const size_t length = PREFIX_bits_left(from) / 8;
    PREFIX_must_hold(from, length <= most);
    if (from->failed) {
        return 0;
    }
    PREFIX_get_bytes(from, bytes, length);
    return (uint8_t)length;
}
