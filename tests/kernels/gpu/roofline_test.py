"""Loops and counts of made-up machine code, and the arithmetic of a prediction."""
import pathlib
import tempfile
import unittest

import machine_code
import roofline
from machine_code import Turn, Wanted
from roofline import Card, Operation, Room, Tiles

CARD = Card("made up", "sm_86", units=10, ghz=1, gb_per_s=100, cache_mb=1, f16_macs=256, s8_macs=1024, source="")
SOURCE = """switch (type) {
  case Stored::q8_0: open_q8_0(x);
  case Stored::q4_k: open_q4_k(x);
}
mma_f16(sums, a, b);  // f16
"""
# A loop with an arm for each type, whose back edge is at 00c0; without labels' numbers in order.
SASS = """.text.product:
        /*0000*/                   MOV R1, RZ ;
.L_x_1:
        //## File "FILE", line 1
        /*0010*/                   ISETP.GT.AND P1, PT, R1, 0x3, PT ;
        /*0020*/               @P1 BRA `(.L_x_2) ;
        //## File "FILE", line 2
        /*0030*/                   LDG.E.128 R4, [R2] ;
        /*0040*/                   BRA `(.L_x_3) ;
.L_x_2:
        //## File "FILE", line 3
        /*0050*/                   LDG.E.64 R4, [R2] ;
        /*0060*/                   LOP3.LUT R4, R4, 0xf, RZ ;
        /*0070*/                   I2F.S8 R4, R4 ;
.L_x_3:
        //## File "FILE", line 5
        /*0080*/                   HMMA.16816.F32 R8, R4, R6, R8 ;
        /*0090*/               @P0 BRA `(.L_x_4) ;
        /*00a0*/                   HMMA.16816.F32 R8, R4, R6, R8 ;
.L_x_4:
        /*00b0*/                   IADD3 R2, R2, 0x10, RZ ;
        /*00c0*/               @P2 BRA `(.L_x_1) ;
        /*00d0*/                   EXIT ;
"""
# A loop in a loop, each of which multiplies.
NESTED = """.text.product:
.L_x_1:
        /*0000*/                   MOV R1, RZ ;
.L_x_2:
        /*0010*/                   LDS.128 R4, [R2] ;
        /*0020*/                   HMMA.16816.F32 R8, R4, R6, R8 ;
        /*0030*/               @P1 BRA `(.L_x_2) ;
        /*0040*/                   HMMA.16816.F32 R8, R4, R6, R8 ;
        /*0050*/               @P2 BRA `(.L_x_1) ;
        /*0060*/                   EXIT ;
"""


class Loops(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        file = pathlib.Path(self.folder.name) / "source.cu"
        file.write_text(SOURCE)
        self.lines = SASS.replace("FILE", str(file)).splitlines()[1:]

    def tearDown(self):
        self.folder.cleanup()

    def turns(self, stored):
        return machine_code.find_turns(machine_code.read_sass(self.lines), stored)

    def test_a_turn_goes_the_way_of_its_type(self):
        self.assertEqual([name for name in self.turns("q8_0")[4096].names if "LDG" in name], ["LDG.E.128"])
        names = self.turns("q4_k")[4096].names
        self.assertEqual(roofline.counts_of(names), {"integer": 3, "control": 3, "global 8 B": 1, "mma": 2,
                                                     "conversions, specials": 1})  # fmt: skip

    def test_a_turn_that_skips_rows_is_counted_too(self):
        turns = self.turns("q8_0")
        self.assertEqual(sorted(turns), [2048, 4096])
        self.assertEqual(len(turns[4096].names) - len(turns[2048].names), 1)

    def test_a_loop_within_a_loop_is_gone_through_as_often_as_is_said(self):
        instructions = machine_code.read_sass(NESTED.splitlines()[1:])
        self.assertEqual(len(machine_code.find_turns(instructions, "f16")[2048].names), 3)
        turn = machine_code.find_turns(instructions, "f16", Wanted(repeats=4))[5 * 2048]
        self.assertEqual(roofline.counts_of(turn.names), {"integer": 1, "shared loads 16 B": 4, "mma": 5, "control": 5})

    def test_a_type_without_a_loop_is_said(self):
        with self.assertRaises(SystemExit):
            machine_code.find_turns(machine_code.read_sass(self.lines), "q8_0", Wanted(needs="no such text"))


class Arithmetic(unittest.TestCase):
    def ms(self, names, macs, **changes):
        operation = Operation("part", "product", "f16", launches=3, macs=1e6 * macs, bytes=0, blocks=10)
        return roofline.operation_ms(operation._replace(**changes), {macs: Turn(macs, tuple(names))}, CARD)

    def test_the_busiest_unit_binds(self):
        mma = ["HMMA.16816.F32"]  # 8 clocks of 256 multiplications; a million turns over ten SMs at 1 GHz
        self.assertEqual(self.ms(mma, 2048), (3 * 0.8, "mma"))
        self.assertEqual(self.ms(mma + ["IADD3"] * 20, 2048), (3 * 1.0, "integer"))
        self.assertEqual(self.ms(mma + ["FFMA", "LOP3.LUT"] * 20, 2048), (3 * 1.025, "issue"))
        self.assertEqual(self.ms(mma + ["LDS.128"] * 3, 2048), (3 * 1.2, "shared"))
        self.assertEqual(self.ms(mma + ["LDG.E.64"] * 3, 2048), (3 * 1.2, "global"))
        self.assertEqual(self.ms(mma + ["I2F.S16"] * 5, 2048), (3 * 1.0, "special"))
        self.assertEqual(self.ms(["IMMA.16832.S8.S8"], 4096), (3 * 0.4, "mma"))

    def test_memory_binds_where_it_takes_longer(self):
        self.assertEqual(self.ms(["HMMA.16816.F32"], 2048, bytes=1e8), (3.0, "memory"))

    def test_blocks_that_do_not_fill_the_card_cost_as_if_they_did(self):
        ms, _ = self.ms(["HMMA.16816.F32"], 2048, blocks=11)
        self.assertAlmostEqual(ms, 3 * 0.8 * 20 / 11)

    def test_turns_of_fewer_rows_count_by_their_share(self):
        operation = Operation("part", "product", "f16", 1, 4096e6, 0, 10, ((0.5, 0.25), (1.0, 0.75)))
        turns = {2048: Turn(2048, ("IADD3",) * 10), 4096: Turn(4096, ("IADD3",) * 20)}
        self.assertAlmostEqual(roofline.operation_ms(operation, turns, CARD)[0], 0.25 * 0.5 + 0.75 * 1.0)

    def test_experts_take_about_sixteen_rows(self):
        self.assertAlmostEqual(sum(chance for _, chance in roofline.rows_of_an_expert()), 1)
        self.assertAlmostEqual(sum(rows * chance for rows, chance in roofline.rows_of_an_expert()), 16)
        tiles, steps = roofline.expert_tiles(Tiles(24, 64, 8))
        self.assertAlmostEqual(sum(part for _, part in steps), 1)
        rows = tiles * sum(share * part for share, part in steps) * 24
        self.assertTrue(19 < rows < 21, rows)  # 16, and half of the 8 that a step takes
        self.assertAlmostEqual(roofline.expert_tiles(Tiles(80, 64, 80))[0], 1, places=4)

    def test_sums_of_spans_are_read_again_where_no_cache_holds_them(self):
        shape = roofline.Attention(heads=8, head_dim=256, cached=1023, queries=64, extra=1)
        large, small = (roofline.attention("", 1, shape, 512, cache_mb) for cache_mb in (50, 6))
        self.assertEqual(large.blocks, 8 * 8 * 3)  # of rows, KV heads and spans
        self.assertEqual(small.bytes - large.bytes, 3 * 256 * 4096 * 4 * 2)

    def test_amd_matrix_units_hold_up_other_instructions(self):
        card = CARD._replace(architecture="gfx1100", s8_macs=256)
        busy = roofline.busy_clocks(["v_wmma_f32_16x16x16_f16", "v_add_nc_u32_e32", "s_waitcnt"], card)
        self.assertEqual(busy["issue"], 4096 / 256 + 2 / 2)

    def test_occupancy_is_what_is_scarcest(self):
        took = roofline.Resources
        roofline.ROOMS["made up"] = Room(registers=2048, unit=8, shared=100 << 10, reserved=1024, warps=48, blocks=16)
        for resources, threads, blocks in ((took(128, 0, 1024), 128, 4), (took(121, 0, 1024), 128, 4),
                                           (took(32, 0, 49152), 128, 2), (took(16, 0, 0), 256, 6),
                                           (took(16, 0, 0), 32, 16)):  # fmt: skip
            self.assertEqual(roofline.blocks_resident("made up", resources, threads), blocks)
        del roofline.ROOMS["made up"]

    def test_bytes_of_a_lane(self):
        for name, bytes_of_a_lane in (("LDG.E.128.CONSTANT", 16), ("LDG.E.U16", 2), ("LD.E.U8", 1), ("LDS", 4),
                                      ("LDSM.16.M88.4", 16), ("global_load_b128", 16), ("global_load_dwordx4", 16),
                                      ("global_load_d16_b16", 2), ("global_load_ushort", 2), ("ds_read_b64", 8),
                                      ("global_load_u8", 1)):  # fmt: skip
            self.assertEqual(roofline.bytes_of(name), bytes_of_a_lane, name)


if __name__ == "__main__":
    unittest.main()
