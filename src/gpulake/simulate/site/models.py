"""The GPU models that a site has, with the constants of their power, clock and temperature.

Where each constant comes from (captures by nvidia-smi on real machines, driver 590.48.01 unless said otherwise):

- **H100**: capture `linux-x86_64__nvidia-h100-80gb-hbm3`. Idle: 69.9 W, 345 MHz, 41 C (memory 48 C), no memory in use of 81,559 MiB,
  479 MiB reserved. Under gpu-burn: 588 to 636 W of 700 W, 1,980 MHz (not lowered), 59 to 65 C and still rising (memory 55 to 59 C), 9 to 11 %
  memory copy. Its limits are told as distances: 41 C lies 46 C below the highest operating temperature, so that is 87 C; slowdown is 2 C above.
- **H200**: capture `linux-x86_64__nvidia-h200`. Idle: 77.7 W, 345 MHz, 28 C (memory 32 C). Under gpu-burn: 627 to 632 W, 1,980 MHz, 52 to 54 C
  and rising (memory 41 to 42 C). 59 C below the highest operating temperature when idle: 87 C.
- **A100**: capture `a100-sxm4-v12.xml` (DTD v12, MIG on, idle): 67 W, 27 C (memory 44 C), at most 1,410 MHz, memory 1,593 MHz, 81,920 MiB of which 869 are
  reserved; 85 C highest operating, 89 C slowdown. The capture's board may draw 500 W, the data sheet's 400 W: 400 is taken. Nobody has captured it
  under load: its thermal resistance is the H200's, its idle clock that of the A10G capture (210 MHz).
- **T4**: capture `tesla-t4.xml`: 26.8 W at 585 MHz and 40 C with 1,032 of 15,360 MiB held, at most 1,590 MHz, memory 5,001 MHz, 70 W; 85 C highest operating,
  93 C slowdown. Its reserved memory, and how far it warms up, are assumed (64 C at 70 W).
- **P100, V100**: no capture. Their limits of 250 W and the watts of training come from Zeus, memory from the data sheets; 40 W idle, 83 C highest operating
  and 0.11 C/W are assumed. MISC stands for the older models of PAI's fleet with the data sheet of half a Tesla M60.
- **Thermal resistance and lag.** Both load captures end while the temperature rises, so the resistance lies above (their rise) / (their watts):
  H100 > 0.042 C/W, H200 > 0.046 C/W. 0.050 and 0.055 are taken, with a lag of 45 s: from idle the simulated H100 passes 59 C after 46 s of gpu-burn.
- **Clock and power.** Measured with power limits on V100 (Zeus, `summary_power_v100.csv`): at 150 W of about 226 W, training runs at 0.76 to 0.87 of its
  speed, at 200 W at 0.93 to 0.96. With 40 W idle, power above idle goes as speed to the power of 2.4 (between 1.8 and 2.7).
- **A process that holds a GPU and does nothing** keeps its clocks up. What that costs is in no capture: 45 W is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

CLOCK_EXPONENT = 2.4
"""Power above idle over the clock's share of its maximum."""
LAG_S = 45.0
"""Time constant of a GPU's temperature."""
LEAST_CLOCK_SHARE = 0.18
"""A GPU is not slowed below its idle clock."""
CLOCK_STEP_MHZ = 15


@dataclass(frozen=True)
class Model:
    """One GPU model as its driver names it, and as Slurm types it."""

    name: str
    slurm_type: str
    memory_mib: int
    reserved_mib: int
    tdp_w: int
    idle_w: float
    held_w: float
    idle_clock_mhz: int
    max_clock_mhz: int
    memory_clock_mhz: int
    ambient_c: float
    resistance_c_per_w: float
    memory_ambient_c: float
    memory_c_per_w: float
    max_operating_c: int
    slowdown_c: int


H100 = Model(
    name="NVIDIA H100 80GB HBM3",
    slurm_type="h100",
    memory_mib=81_559,
    reserved_mib=479,
    tdp_w=700,
    idle_w=69.9,
    held_w=45.0,
    idle_clock_mhz=345,
    max_clock_mhz=1_980,
    memory_clock_mhz=2_619,
    ambient_c=37.5,
    resistance_c_per_w=0.050,
    memory_ambient_c=46.2,
    memory_c_per_w=0.020,
    max_operating_c=87,
    slowdown_c=89,
)
H200 = Model(
    name="NVIDIA H200",
    slurm_type="h200",
    memory_mib=143_771,
    reserved_mib=479,
    tdp_w=700,
    idle_w=77.7,
    held_w=45.0,
    idle_clock_mhz=345,
    max_clock_mhz=1_980,
    memory_clock_mhz=3_201,
    ambient_c=23.7,
    resistance_c_per_w=0.055,
    memory_ambient_c=30.4,
    memory_c_per_w=0.019,
    max_operating_c=87,
    slowdown_c=89,
)
A100 = Model(
    name="NVIDIA A100-SXM4-80GB",
    slurm_type="a100",
    memory_mib=81_920,
    reserved_mib=869,
    tdp_w=400,
    idle_w=67.0,
    held_w=20.0,
    idle_clock_mhz=210,
    max_clock_mhz=1_410,
    memory_clock_mhz=1_593,
    ambient_c=23.3,
    resistance_c_per_w=0.055,
    memory_ambient_c=42.7,
    memory_c_per_w=0.020,
    max_operating_c=85,
    slowdown_c=89,
)
T4 = Model(
    name="Tesla T4",
    slurm_type="t4",
    memory_mib=15_360,
    reserved_mib=449,
    tdp_w=70,
    idle_w=10.0,
    held_w=16.8,
    idle_clock_mhz=300,
    max_clock_mhz=1_590,
    memory_clock_mhz=5_001,
    ambient_c=25.0,
    resistance_c_per_w=0.56,
    memory_ambient_c=25.0,
    memory_c_per_w=0.5,
    max_operating_c=85,
    slowdown_c=93,
)


def _older(name: str, slurm_type: str, *, memory_mib: int, tdp_w: int, clock_mhz: int, memory_clock_mhz: int) -> Model:
    return Model(
        name=name,
        slurm_type=slurm_type,
        memory_mib=memory_mib,
        reserved_mib=256,
        tdp_w=tdp_w,
        idle_w=0.16 * tdp_w,
        held_w=0.04 * tdp_w,
        idle_clock_mhz=405,
        max_clock_mhz=clock_mhz,
        memory_clock_mhz=memory_clock_mhz,
        ambient_c=30.0,
        resistance_c_per_w=27.5 / tdp_w,
        memory_ambient_c=32.0,
        memory_c_per_w=25.0 / tdp_w,
        max_operating_c=83,
        slowdown_c=87,
    )


PAI_MODELS = {
    "T4": T4,
    "MISC": _older("Tesla M60", "m60", memory_mib=8_129, tdp_w=150, clock_mhz=1_177, memory_clock_mhz=2_505),
    "P100": _older("Tesla P100-PCIE-16GB", "p100", memory_mib=16_280, tdp_w=250, clock_mhz=1_328, memory_clock_mhz=715),
    "V100": _older("Tesla V100-SXM2-16GB", "v100", memory_mib=16_160, tdp_w=250, clock_mhz=1_530, memory_clock_mhz=877),
    "V100M32": _older(
        "Tesla V100-SXM2-32GB", "v100", memory_mib=32_510, tdp_w=250, clock_mhz=1_530, memory_clock_mhz=877
    ),
}
"""By the names that PAI's machine table has."""
